"""Percentiles, intervals and ratios of times that were measured in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Blocks = Sequence[Sequence[float]]
"""Times in milliseconds, call after call, block after block."""

LEVEL = 95.0  # per cent of a bootstrap interval


@dataclass(frozen=True)
class Summary:
    """What a set of times comes to, in milliseconds; the interval is of the median."""

    n: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    low_ms: float
    high_ms: float
    slow_calls: int


@dataclass(frozen=True)
class Interval:
    """A value and its bootstrap interval."""

    value: float
    low: float
    high: float


def summary(blocks: Blocks, *, slow: float, resamples: int) -> Summary:
    """Describe times; nothing is left out, slow calls are counted.

    Args:
        blocks: at least one time.
        slow: a call of so many medians is slow.
        resamples: of the bootstrap.
    """
    times = np.concatenate([np.asarray(block, float) for block in blocks])
    p50, p90, p95, p99 = np.percentile(times, (50, 90, 95, 99))
    low, high = _bounds(_medians(blocks, _draws(len(blocks), resamples)))
    return Summary(
        n=len(times),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p95_ms=float(p95),
        p99_ms=float(p99),
        mean_ms=float(times.mean()),
        min_ms=float(times.min()),
        max_ms=float(times.max()),
        low_ms=low,
        high_ms=high,
        slow_calls=int((times > slow * p50).sum()),
    )


def median(blocks: Blocks) -> float:
    """Median of all times."""
    return float(np.median(np.concatenate([np.asarray(block, float) for block in blocks])))


def ratio(ours: Blocks, theirs: Blocks, *, resamples: int) -> Interval:
    """Ratio of two medians over paired blocks: block i of both was measured in round i.

    Rounds are drawn together, so what slowed a round down slows both sides. If one side has more
    blocks, its later ones are left out, since nothing ran beside them.
    """
    rounds = min(len(ours), len(theirs))
    ours, theirs = ours[:rounds], theirs[:rounds]
    draws = _draws(rounds, resamples)
    low, high = _bounds(_medians(ours, draws) / _medians(theirs, draws))
    return Interval(median(ours) / median(theirs), low, high)


def _draws(count: int, resamples: int) -> np.ndarray:
    """Which blocks each resample holds: [resamples, count]; always the same for a count."""
    return np.random.default_rng(0).integers(count, size=(resamples, count))


def _medians(blocks: Blocks, draws: np.ndarray) -> np.ndarray:
    """The median of each resample."""
    arrays = [np.asarray(block, float) for block in blocks]
    return np.array([np.median(np.concatenate([arrays[i] for i in draw])) for draw in draws])


def _bounds(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (50 - LEVEL / 2, 50 + LEVEL / 2))
    return float(low), float(high)
