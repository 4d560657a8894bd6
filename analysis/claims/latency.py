"""Published latencies beside measured ones, and beside a prediction that is labelled as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.claims.costs import Reading
from analysis.claims.published import Published, Readings, Table
from analysis.claims.ratios import share
from analysis.claims.rows import Finding, Relation, Row, judge, significant

if TYPE_CHECKING:
    from wambench.profile.latency.protocol import Text
    from wambench.profile.latency.records import LatencyRecord

COMMAND = "make audit-gpu, then wambench audit claims --kind latency"
NEUTRAL = {
    "weights", "weights_seed", "untrained", "device", "dtype", "noise_seed", "batch_size",
    "picture",
}  # fmt: skip
"""Options that do not make another policy of a policy; a geometry is recorded by its name."""

PRESET = "released"
FITTED = "paper"
"""The geometry at which the paper's FLOPs are met; its latencies are taken to be of that too."""

Predict = Callable[[Reading], str]
"""What a roofline says of a policy, with a label, or nothing."""


def no_prediction(reading: Reading) -> str:
    """Where no prediction is wanted."""
    return ""


def rows(
    published: Published,
    readings: Readings,
    records: Sequence[LatencyRecord],
    predict: Predict = no_prediction,
) -> list[Row]:
    """The headline against every baseline, then every millisecond and speed-up printed."""
    on_gpu = [record for record in records if record.device.kind == "gpu"]
    hardware = published.tables["table5_efficiency"].hardware
    out = []
    for name, baseline in readings.baselines.items():
        out += _headline(published, readings, name, baseline, on_gpu, hardware)
    for key, meanings in readings.latency.items():
        table = published.tables[key]
        out += _milliseconds(key, table, meanings, on_gpu, readings, hardware, predict)
        if "speedup" in table.columns:
            out += _speedups(key, table, meanings, on_gpu, readings, hardware)
    return out


def is_of(record: LatencyRecord, reading: Reading) -> bool:
    """Whether a record measured what a published row is read as, in the released preset."""
    chosen = {k: v for k, v in record.options.items() if k not in NEUTRAL and v is not None}
    preset = chosen.pop("preset", record.preset or PRESET)
    return (
        record.policy == reading.policy
        and chosen == dict(reading.options)
        and preset == PRESET
        and record.mode == (reading.mode or "eager")
    )


def ratios(
    baseline: Reading,
    editor: Reading,
    records: Sequence[LatencyRecord],
    hardware: str,
) -> list[Finding]:
    """Baseline over editor, for every pair measured in turn with each other on one device.

    Assumed is the paper's GPU; without text means with the instruction's encoding at hand.
    """
    from wambench.profile.latency.comparing import comparison_faults
    from wambench.profile.latency.ratios import measured_ratio

    out = []
    for ours in (record for record in records if is_of(record, editor)):
        for theirs in (record for record in records if is_of(record, baseline)):
            if (ours.device.name, ours.geometry) != (theirs.device.name, theirs.geometry):
                continue
            texts: tuple[Text, ...] = ("warm", "cold")
            for text in texts:
                found = measured_ratio(theirs, ours, "policy", text)
                if found is None:
                    continue
                flags = (*ours.flags, *theirs.flags, *comparison_faults(ours, theirs))
                faults = {fault.code for fault in flags}
                note = f", faults: {', '.join(sorted(faults))}" if faults else ""
                out.append(
                    Finding(
                        condition=f"{ours.device.name}, {ours.geometry}, {theirs.mode}, "
                        f"text {text}{note}",
                        value=found.value,
                        low=found.low,
                        high=found.high,
                        assumed=_on(ours, hardware),
                    )
                )
    return out


def _headline(
    published: Published,
    readings: Readings,
    name: str,
    baseline: Reading,
    records: Sequence[LatencyRecord],
    hardware: str,
) -> list[Row]:
    found = ratios(baseline, readings.editor, records, hardware)
    text = str(published.headline["latency_ratio"])
    times = float(published.headline["project_page_latency_speedup"])
    tolerance = readings.tolerance["latency"]
    quarter = Row(
        id=f"headline.latency_ratio/{name}",
        kind="latency",
        source="headline",
        claim=f"ImageWAM cuts latency to {text} of {name}'s",
        claimed=text,
        unit="of the time",
        baseline=name,
        command=COMMAND,
        verdict="needs a GPU",
        why="No GPU record of both policies, measured in turn, is at hand.",
    )
    speedup = quarter.model_copy(
        update={
            "id": f"headline.project_page_latency_speedup/{name}",
            "source": "project page",
            "claim": f"ImageWAM is {times:g} times as fast as {name}",
            "claimed": times,
            "unit": "x",
        }
    )
    if not found:
        return [quarter, speedup]
    return [
        _as_share(_judged(quarter, share(text), found, "at least", tolerance)),
        _judged(speedup, times, found, "equal", tolerance),
    ]


def _as_share(row: Row) -> Row:
    """A ratio of baseline to editor turned over, as a share is claimed."""
    ends = (row.high, row.low)
    turned = [None if value is None else 1 / value for value in (row.found, *ends)]
    return row.model_copy(update=dict(zip(("found", "low", "high"), turned, strict=True)))


def _milliseconds(
    key: str,
    table: Table,
    meanings: Mapping[str, Reading],
    records: Sequence[LatencyRecord],
    readings: Readings,
    hardware: str,
    predict: Predict,
) -> list[Row]:
    out = []
    for name, reading in meanings.items():
        claimed = float(table.row(name)["latency_ms"])
        there = [record for record in records if is_of(record, reading)]
        found = [_measured(one, hardware) for one in there if one.times("policy", "warm")]
        on_theirs = [one for one, at in zip(found, there, strict=True) if _on(at, hardware)]
        row = Row(
            id=f"{key}.{name}.latency_ms",
            kind="latency",
            source=table.source,
            claim=f"One inference of {name} takes {claimed:g} ms on an {hardware}",
            claimed=claimed,
            unit="ms",
            condition=hardware,
            predicted=predict(reading),
            command=COMMAND,
            verdict="needs a GPU",
            why=f"There is no record of {_spelt(reading)} on an {hardware}"
            + (f"; {found[0].condition}: {found[0].value:.0f} ms." if found else "."),
            findings=tuple(found),
        )
        if on_theirs:
            row = _judged(row, claimed, on_theirs, "equal", readings.tolerance["latency"])
        out.append(row)
    return out


def _speedups(
    key: str,
    table: Table,
    meanings: Mapping[str, Reading],
    records: Sequence[LatencyRecord],
    readings: Readings,
    hardware: str,
) -> list[Row]:
    names = [str(row[0]) for row in table.rows]
    first = meanings[names[0]]
    out = []
    for name in names:
        claimed = float(table.row(name)["speedup"])
        row = Row(
            id=f"{key}.{name}.speedup",
            kind="latency",
            source=table.source,
            claim=f"{name} is {claimed:g} times as fast as {names[0]}",
            claimed=claimed,
            unit="x",
            baseline=names[0],
            command=COMMAND,
            verdict="needs a GPU",
            why=f"There is no GPU record of {_spelt(meanings[name])} and {_spelt(first)} in one "
            "audit.",
        )
        found = ratios(first, meanings[name], records, hardware)
        if found:
            row = _judged(row, claimed, found, "equal", readings.tolerance["latency"])
        out.append(row)
    return out


def _measured(record: LatencyRecord, hardware: str) -> Finding:
    times = record.times("policy", "warm")
    assert times is not None
    return Finding(
        condition=f"{record.device.name}, {record.geometry}, {record.mode}, text warm",
        value=times.p50_ms,
        low=times.low_ms,
        high=times.high_ms,
        assumed=_on(record, hardware) and record.geometry == FITTED,
    )


def _judged(
    row: Row, claimed: float, found: Sequence[Finding], relation: Relation, tolerance: float
) -> Row:
    judged = judge(claimed, found, relation, tolerance)
    near = judged.nearest
    under = tuple(one.condition for one in judged.fitting)
    interval = ""
    if near.low is not None and near.high is not None:
        interval = f" [{significant(near.low)}, {significant(near.high)}]"
    return row.model_copy(
        update={
            "verdict": judged.verdict,
            "condition": near.condition,
            "device": near.condition.partition(",")[0],
            "found": near.value,
            "low": near.low,
            "high": near.high,
            "under": under if judged.verdict == "reproduced only under" else (),
            "findings": tuple(found),
            "why": f"Measured {significant(near.value)}{interval} under {near.condition}; "
            f"{len(judged.fitting)} of {len(found)} measurements are within "
            f"{100 * tolerance:.0f} % of the claim.",
        }
    )


def _on(record: LatencyRecord, hardware: str) -> bool:
    return bool(hardware) and _model(hardware) in record.device.name


def _model(hardware: str) -> str:
    """The GPU's own name: "A6000" of "NVIDIA A6000"."""
    return hardware.rpartition(" ")[2]


def _spelt(reading: Reading) -> str:
    options = ", ".join(f"{name} {value}" for name, value in reading.options.items())
    mode = f", {reading.mode}" if reading.mode else ""
    return reading.policy + (f" ({options}{mode})" if options else mode)
