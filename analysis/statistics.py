"""The one place for statistics: how sure a success rate is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

Interval = tuple[float, float]

CONFIDENCE = 0.95
RESAMPLES = 10_000
MIN_TASKS = 5
"""Fewer tasks than this are no sample to resample: the interval would come out far too short."""


def wilson(successes: int, episodes: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a success rate (Wilson 1927, JASA 22:209-212).

    Chosen because it stays inside [0, 1] and keeps a width when no episode or every episode
    succeeds, where the normal approximation collapses to a point. It takes episodes as
    independent. Without episodes nothing is known and the interval is (0, 1). Raises ValueError
    unless 0 <= successes <= episodes.
    """
    if not 0 <= successes <= episodes:
        raise ValueError(f"{successes} successes of {episodes} episodes")
    if episodes == 0:
        return 0.0, 1.0
    found = binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def clustered(
    suites: Sequence[Sequence[tuple[int, int]]], confidence: float = CONFIDENCE
) -> Interval | None:
    """Bootstrap interval of the unweighted mean over suites, with whole tasks resampled.

    Episodes of one task tend to succeed or fail together, so tasks are the unit drawn, within each
    suite (Field & Welsh 2007, JRSS-B 69:369-390). The draws are seeded: equal input, equal answer.

    Args:
        suites: per suite, (successes, episodes) of each task that has episodes.
        confidence: share of the resampled means that lie inside.

    Returns:
        The percentile interval; None if any suite has fewer than MIN_TASKS tasks.

    """
    if not suites or min(len(tasks) for tasks in suites) < MIN_TASKS:
        return None
    random = np.random.default_rng(0)
    rates = []
    for tasks in suites:
        counts = np.array(tasks)  # [tasks, 2]
        drawn = counts[random.integers(len(counts), size=(RESAMPLES, len(counts)))].sum(axis=1)
        rates.append(drawn[:, 0] / drawn[:, 1])
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.mean(rates, axis=0), [tail, 1 - tail])
    return float(low), float(high)
