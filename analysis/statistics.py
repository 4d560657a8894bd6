"""The one place for statistics: how sure a success rate is, and a difference of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Paired:
    """Two policies on the same cells.

    Attributes:
        cells: that both finished.
        only_first, only_second: cells that one of them solved and the other did not.
        difference: of the success rates, first minus second, on these cells; None without cells.
        interval: of the difference, tasks resampled; None if there are too few tasks.
        p_value: exact McNemar test of "neither is better", two-sided (McNemar 1947, Psychometrika
            12:153-157); it takes cells as independent given the pair.
    """

    cells: int
    only_first: int
    only_second: int
    difference: float | None
    interval: Interval | None
    p_value: float


def paired(suites: Sequence[Sequence[Sequence[tuple[bool, bool]]]]) -> Paired:
    """Compare two policies.

    Args:
        suites: per suite, per task, (first succeeded, second succeeded) of every common cell.
    """
    cells = [cell for tasks in suites for task in tasks for cell in task]
    first = sum(a and not b for a, b in cells)
    second = sum(b and not a for a, b in cells)
    return Paired(
        cells=len(cells),
        only_first=first,
        only_second=second,
        difference=(first - second) / len(cells) if cells else None,
        interval=_difference_interval(suites),
        p_value=float(binomtest(first, first + second).pvalue) if first + second else 1.0,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests (Holm 1979, Scandinavian J. Statistics 6:65-70)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _difference_interval(
    suites: Sequence[Sequence[Sequence[tuple[bool, bool]]]],
) -> Interval | None:
    """Bootstrap interval of the difference over all cells, whole tasks resampled in each suite."""
    tasks = [[task for task in suite if task] for suite in suites]
    if not tasks or min(map(len, tasks)) < MIN_TASKS:
        return None
    random = np.random.default_rng(0)
    gained, counted = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    for suite in tasks:
        gains = np.array([sum(int(a) - int(b) for a, b in task) for task in suite])
        sizes = np.array([len(task) for task in suite])
        drawn = random.integers(len(suite), size=(RESAMPLES, len(suite)))
        gained += gains[drawn].sum(axis=1)
        counted += sizes[drawn].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(gained / counted, [tail, 1 - tail])
    return float(low), float(high)
