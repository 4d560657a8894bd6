"""The ratio of two policies' medians, where they were measured in turn."""

from __future__ import annotations

from wambench.profile.latency import statistics
from wambench.profile.latency.protocol import LatencyProtocol, Scope, Text
from wambench.profile.latency.records import LatencyRecord, Ratio, Times


def ratio_of(ours: Times, theirs: Times, rules: LatencyProtocol) -> Ratio:
    """Median over median, with an interval over paired blocks of one audit."""
    found = statistics.ratio(ours.steady_samples, theirs.steady_samples, resamples=rules.resamples)
    is_cpu = ours.steady_samples is ours.cpu_samples
    return Ratio(
        value=found.value,
        low=found.low,
        high=found.high,
        clock="cpu" if is_cpu else ours.clock,
    )


def measured_ratio(
    ours: LatencyRecord, theirs: LatencyRecord, scope: Scope, text: Text
) -> Ratio | None:
    """Ours over theirs, where both ran in turn; None where they did not.

    A policy's record holds its ratio to the reference that ran beside it, also where the
    reference's own record is of another audit (it runs beside every group of policies).
    """
    mine, other = ours.times(scope, text), theirs.times(scope, text)
    if ours.audit == theirs.audit and mine and other:
        return ratio_of(mine, other, ours.rules)
    if ours.reference == theirs.label:
        return ours.ratios.get(scope, {}).get(text)
    if theirs.reference == ours.label:
        turned = theirs.ratios.get(scope, {}).get(text)
        if turned is not None:
            return Ratio(
                value=1 / turned.value, low=1 / turned.high, high=1 / turned.low,
                clock=turned.clock,
            )  # fmt: skip
    return None
