"""Where a latency in a sweep file comes from: a number, a record, a prediction, a publication."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wambench.cells import PolicyChoice
from wambench.clock import Latency
from wambench.contract import SuiteSpec
from wambench.errors import UserError, did_you_mean
from wambench.shipped import shipped
from wambench.sweepfile.schema import LatencyEntry

CLAIMS = "results/published/claims.json"


def resolved(entry: LatencyEntry, choice: PolicyChoice, suites: Sequence[SuiteSpec]) -> Latency:
    """Turn what a sweep file says into milliseconds.

    Raises UserError for a record that cannot be read, is of another policy than it says, or of
    another control rate than a suite has; for an unknown GPU; for a claim that nobody makes.
    """
    if entry.ms is not None:
        return Latency(ms=(entry.ms,), about=f"{entry.ms:g} ms")
    if entry.measured is not None:
        return _measured(Path(entry.measured), entry.of or choice.name, suites)
    if entry.predicted is not None:
        policy = entry.of or choice.name
        ms, where = _predicted(policy, entry.predicted, entry.mode)
        about = f"{policy} on {where}"
        return Latency(ms=(ms,), source="predicted", about=about, where=where)
    assert entry.claimed is not None
    return _claimed(entry.claimed)


def _measured(path: Path, policy: str, suites: Sequence[SuiteSpec]) -> Latency:
    from wambench.profile.latency.records import read_record

    record = read_record(path)
    if record.policy != policy:
        raise UserError(
            f"latency: {str(path)!r} is a record of {record.policy!r}, not of {policy!r}; to have "
            f"its time all the same add of: {record.policy}"
        )
    for suite in suites:
        if record.control_hz not in (None, suite.control_hz):
            raise UserError(
                f"latency: {str(path)!r} was measured for a robot at {record.control_hz:g} Hz, "
                f"{suite.name} has {suite.control_hz:g} Hz; write its milliseconds as ms: "
                f"{record.act_ms() or 0:.0f} if that is meant"
            )
    times = record.times("policy", "warm")
    if times is None:
        raise UserError(f"latency: {str(path)!r} has no time of whole decisions (scope policy)")
    samples = tuple(round(ms, 3) for block in times.samples for ms in block)
    where = f"{record.device.name}, {record.mode}"
    about = f"{record.label} on {where}"
    return Latency(ms=samples, source="measured", about=about, where=where)


@functools.cache
def _predicted(policy: str, gpu: str, mode: str) -> tuple[float, str]:
    from wambench.profile.flops import count
    from wambench.profile.roofline import predict

    prediction = predict(count(policy, {}), gpu)
    ms = {"graph": prediction.graph_ms, "eager": prediction.eager_ms, "ideal": prediction.ideal_ms}
    return round(ms[mode], 3), f"{prediction.gpu}, {mode}"


def _claimed(place: str) -> Latency:
    """``table11/imagewam_action_static_graph``: beginning of a table's name, and a row."""
    table, _, row = place.partition("/")
    tables: dict[str, Any] = json.loads(shipped(CLAIMS).read_text())["tables"]
    tables = {name: one for name, one in tables.items() if "latency_ms" in one["columns"]}
    found = next((one for name, one in tables.items() if name.split("_")[0] == table), None)
    if found is None:
        remedy = did_you_mean(table, [name.split("_")[0] for name in tables])
        raise UserError(f"latency: claimed: no table {table!r} with latencies; {remedy}")
    rows = {_word(str(one[0])): one for one in found["rows"]}
    if row not in rows:
        raise UserError(f"latency: claimed: {table} has no row {row!r}; {did_you_mean(row, rows)}")
    ms = float(rows[row][found["columns"].index("latency_ms")])
    hardware = [found["hardware"]] if "hardware" in found else []
    about = ", ".join([found["source"], rows[row][0], *hardware])
    where = ", ".join([found["source"], *hardware])
    return Latency(ms=(ms,), source="claimed", about=about, where=where)


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_")
