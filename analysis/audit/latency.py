"""Tables of measured latency, one for each device and track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.claims.costs import Reading
from analysis.claims.latency import is_of
from analysis.table import Cell, Column, Table
from wambench.profile.latency.comparing import count_faults
from wambench.profile.latency.records import LatencyRecord
from wambench.profile.records import PolicyCount

Counts = Mapping[str, Mapping[str, Sequence[PolicyCount]]]
"""Track -> geometry -> policies."""

MEGA = 1e6
COMMAND = "wambench audit latency"


def tables(records: Sequence[LatencyRecord], counts: Counts) -> list[Table]:
    """Times, then stages, of every device and track for which there are records.

    What was measured over a wire has tables of its own: its device computed nothing.

    Each record is held against the count of its policy, if there is one in ``counts``.
    """
    groups: dict[tuple[str, str], list[LatencyRecord]] = {}
    for record in records:
        where = f"over a wire, from {record.device.name}" if "wire" in record.scopes else ""
        groups.setdefault((where or record.device.name, record.track), []).append(record)
    out = []
    for (device, track), found in sorted(groups.items()):
        out.append(_times(device, track, found, counts))
        if any(record.stages for record in found):
            out.append(_stages(device, track, found))
    return out


def slug(text: str) -> str:
    """A name for files."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in plain.split("-") if part)


def is_measured(found: PolicyCount, geometry: str, record: LatencyRecord) -> bool:
    """Whether a record is of the policy that was counted, as released, in eager mode."""
    names = {geometry, "own"} if geometry == "libero" else {geometry}
    return record.geometry in names and is_of(record, Reading(policy=found.policy))


def _times(device: str, track: str, records: Sequence[LatencyRecord], counts: Counts) -> Table:
    rows: list[Mapping[str, Cell]] = []
    for record in records:
        for scope, by_text in record.scopes.items():
            for text, times in by_text.items():
                ratio = record.ratios.get(scope, {}).get(text)
                rows.append(
                    {
                        "policy": _name(record),
                        "scope": scope,
                        "text": text,
                        "n": times.n,
                        "p50_ms": times.p50_ms,
                        "low_ms": times.low_ms,
                        "high_ms": times.high_ms,
                        "p90_ms": times.p90_ms,
                        "p95_ms": times.p95_ms,
                        "p99_ms": times.p99_ms,
                        "ms_per_action": times.p50_ms / record.executed_actions,
                        "ratio": ratio.value if ratio else None,
                        "ratio_low": ratio.low if ratio else None,
                        "ratio_high": ratio.high if ratio else None,
                        "clock": ratio.clock if ratio else "",
                    }
                )
    references = sorted({record.reference for record in records})
    return Table(
        name=f"latency-{track}-{slug(device)}",
        title=f"Measured milliseconds of one inference, {track} track, {device}",
        columns=[
            Column("policy", "Policy, mode, geometry"),
            Column("scope", "Scope"),
            Column("text", "Text"),
            Column("n", "Calls", 0),
            Column("p50_ms", "p50", 2),
            Column("low_ms", "from", 2),
            Column("high_ms", "to", 2),
            Column("p90_ms", "p90", 2),
            Column("p95_ms", "p95", 2),
            Column("p99_ms", "p99", 2),
            Column("ms_per_action", "p50 per executed action", 2),
            Column("ratio", "Over the reference", 2),
            Column("ratio_low", "from", 2),
            Column("ratio_high", "to", 2),
            Column("clock", "its clock"),
        ],
        rows=rows,
        command=f"{COMMAND} {' '.join(dict.fromkeys(record.policy for record in records))}",
        note=f"Protocol latency-1; intervals are 95 % bootstrap intervals over blocks. Reference: "
        f"{', '.join(references)}. kernels: the steps alone; policy: observation in memory to "
        "actions in memory; served: through the policy's server. cold: another instruction in "
        "every call; warm: one.",
        group="policy",
        track=track,
        facts={
            "device": records[0].device.model_dump(mode="json"),
            "faults": faults(records, counts),
        },
    )


def faults(records: Sequence[LatencyRecord], counts: Counts) -> Sequence[str]:
    """All that is wrong with records, or between one and its policy's count, a sentence each."""
    out = []
    for one in records:
        found = list(one.flags)
        for geometry, policies in counts.get(one.track, {}).items():
            for count in policies:
                if is_measured(count, geometry, one):
                    found += count_faults(one, count)
        out += [f"{_name(one)}: {fault.sentence}" for fault in found]
    return out


def _stages(device: str, track: str, records: Sequence[LatencyRecord]) -> Table:
    rows: list[Mapping[str, Cell]] = []
    for record in records:
        if record.stages:
            rows.append(
                {
                    "policy": _name(record),
                    **{f"{stage}_ms": ms for stage, ms in record.stages.p50_ms.items()},
                    "sum_ms": record.stages.sum_ms,
                    "whole_ms": record.stages.whole_ms,
                    "first_call_ms": record.first_call_ms,
                    "compile_ms": record.compile_ms,
                    "weights": record.memory.weights,
                    "process": record.memory.process,
                    "allocated": record.memory.allocated,
                }
            )
    stages = dict.fromkeys(s for one in records if one.stages for s in one.stages.p50_ms)
    return Table(
        name=f"stages-{track}-{slug(device)}",
        title=f"Measured milliseconds of every stage, {track} track, {device}",
        columns=[
            Column("policy", "Policy, mode, geometry"),
            *(Column(f"{stage}_ms", stage, 2) for stage in stages),
            Column("sum_ms", "Sum", 2),
            Column("whole_ms", "Whole", 2),
            Column("first_call_ms", "First call", 1),
            Column("compile_ms", "Compiling", 0),
            Column("weights", "Weights, MB", 0, MEGA),
            Column("process", "Process, MB", 0, MEGA),
            Column("allocated", "On the GPU, MB", 0, MEGA),
        ],
        rows=rows,
        command=f"{COMMAND} {' '.join(dict.fromkeys(record.policy for record in records))}",
        note="Medians from a run of its own, text included; sum and whole should agree.",
        track=track,
    )


def _name(record: LatencyRecord) -> str:
    return f"{record.label}, {record.mode}, {record.geometry}"
