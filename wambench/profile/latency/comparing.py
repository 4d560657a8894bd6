"""Faults of comparing two measurements, or a measurement with a count of FLOPs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wambench.profile.latency.protocol import TEXTS
from wambench.profile.latency.records import Fault, LatencyRecord
from wambench.profile.records import TOLERANCE, PolicyCount


def comparison_faults(ours: LatencyRecord, theirs: LatencyRecord) -> list[Fault]:
    """Everything but the policies that differs between two records that are to be compared."""
    found = [
        Fault(code=code, sentence=f"{what}: {_said(read(ours))} against {_said(read(theirs))}")
        for code, what, read in CONDITIONS
        if read(ours) != read(theirs)
    ]
    return found + text_on_one_side(ours, theirs) + not_in_turn(ours, theirs)


def text_on_one_side(ours: LatencyRecord, theirs: LatencyRecord) -> list[Fault]:
    """With the same instruction again, one policy encodes its text anew and the other does not."""
    reads = {record.label: _encodes_warm_text(record) for record in (ours, theirs)}
    if None in reads.values() or len(set(reads.values())) < 2:
        return []
    slow, quick = sorted(reads, key=lambda label: not reads[label])
    return [
        Fault(
            code="text-on-one-side",
            sentence=f"with the same instruction again {slow} encodes it in every call, {quick} "
            "keeps what it has; compare cold with cold",
        )
    ]


def not_in_turn(ours: LatencyRecord, theirs: LatencyRecord) -> list[Fault]:
    """Measured at different times, so that the machine's mood is in the ratio.

    A ratio to the reference is fine: it was measured beside the policy, whatever other record the
    reference has.
    """
    is_reference = ours.label == theirs.reference or theirs.label == ours.reference
    if ours.audit == theirs.audit or (is_reference and (ours.ratios or theirs.ratios)):
        return []
    return [
        Fault(
            code="not-in-turn",
            sentence=f"{ours.label} and {theirs.label} were not measured in turn; use the ratios "
            "to the reference that each was measured with",
        )
    ]


def count_faults(record: LatencyRecord, count: PolicyCount) -> list[Fault]:
    """Everything by which a count is not of what was measured, or is wrong in itself."""
    return [fault for check in COUNT_CHECKS for fault in check(record, count)]


def mac_for_flop(record: LatencyRecord, count: PolicyCount) -> list[Fault]:
    """Half or twice the FLOPs: one side counts a multiply-add as one."""
    pairs: list[tuple[str, int, int]] = [
        (stage.stage, stage.flops, stage.counted_flops) for stage in count.stages
    ]
    measured = _measured(record)
    if measured:
        pairs.append(("the whole call", count.flops, measured))
    return [
        Fault(
            code="mac-for-flop",
            sentence=f"{what}: {said:,} by the count, {found:,} by torch: a multiply-add is two",
        )
        for what, said, found in pairs
        if said and found and (_near(2 * said, found) or _near(said, 2 * found))
    ]


def attention_missing(record: LatencyRecord, count: PolicyCount) -> list[Fault]:
    """The count lacks just what attention takes."""
    measured, attention = _measured(record), record.work.attention_flops
    if not measured or not attention or _near(count.flops, measured):
        return []
    if not _near(count.flops, measured - attention):
        return []
    return [
        Fault(
            code="attention-missing",
            sentence=f"the count has {count.flops:,} FLOPs, the call {measured:,}, of which "
            f"{attention:,} are attention: it was not counted",
        )
    ]


def one_step_for_the_call(record: LatencyRecord, count: PolicyCount) -> list[Fault]:
    """The count holds fewer steps of a stage than the call that was timed."""
    ran = record.work.act_calls.get("cold") or record.work.program_calls.get("cold", {})
    counted = {stage.stage: stage.calls for stage in count.stages}
    return [
        Fault(
            code="one-step-for-the-call",
            sentence=f"stage {stage} is counted {counted[stage]} times and runs {calls} times",
        )
        for stage, calls in ran.items()
        if stage in counted and counted[stage] < calls
    ]


def stage_missing(record: LatencyRecord, count: PolicyCount) -> list[Fault]:
    """The count leaves out whole stages: only the backbone, say."""
    ran = record.work.act_calls.get("cold") or record.work.program_calls.get("cold", {})
    missing = sorted(set(ran) - {stage.stage for stage in count.stages})
    if not missing:
        return []
    return [
        Fault(
            code="stage-missing",
            sentence=f"the call runs {', '.join(missing)}, which the count leaves out",
        )
    ]


def _measured(record: LatencyRecord) -> int | None:
    """FLOPs of a whole call with new text, as torch saw it."""
    counts = record.work.act_flops or record.work.program_flops
    return counts["cold"] if counts else None


def _encodes_warm_text(record: LatencyRecord) -> bool | None:
    """Whether ``act`` runs the text stage for an instruction it knows; None: it cannot be seen."""
    calls = record.work.act_calls
    if not all(text in calls for text in TEXTS) or not calls["cold"].get("text", 0):
        return None
    return calls["warm"].get("text", 0) > 0


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(a, b)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items()) or "none"
    return str(value)


CONDITIONS: tuple[tuple[str, str, Callable[[LatencyRecord], Any]], ...] = (
    ("other-protocol", "protocols differ", lambda r: f"{r.protocol} {r.rules.variant}"),
    ("other-device", "devices differ", lambda r: r.device.name),
    ("other-mode", "one is compiled otherwise", lambda r: r.mode),
    ("other-dtype", "number formats differ", lambda r: r.dtype),
    ("other-geometry", "geometries differ", lambda r: r.geometry),
    ("other-preset", "presets differ", lambda r: r.preset),
    ("other-cameras", "numbers of cameras differ", lambda r: len(r.inputs.cameras)),
    ("other-pictures", "picture sizes differ", lambda r: sorted(r.inputs.cameras.values())),
    ("other-chunk", "actions in a chunk differ", lambda r: r.horizon),
    ("other-replan", "executed actions of a chunk differ", lambda r: r.executed_actions),
    ("other-steps", "calls of the act stage differ",
     lambda r: r.work.program_calls.get("cold", {}).get("act")),
    ("other-threads", "CPU threads differ", lambda r: r.device.software.get("threads")),
)  # fmt: skip
"""Code, what it says, and how it is read."""

COUNT_CHECKS = (mac_for_flop, attention_missing, one_step_for_the_call, stage_missing)
