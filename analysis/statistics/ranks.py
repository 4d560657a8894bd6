"""Ranks of several policies over tasks: Friedman's test and Nemenyi's critical distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.statistics.intervals import CONFIDENCE

MIN_POLICIES = 3


@dataclass(frozen=True)
class Ranks:
    """Which policy does best on most tasks.

    Attributes:
        tasks: on which all were compared.
        mean_ranks: policy -> mean over tasks, 1 is best; best first.
        statistic, p_value: Friedman's, of "all rank alike".
        critical_distance: mean ranks further apart than this differ (Nemenyi).
        groups: policies that are not told apart, best first; of two or more, none within another.
    """

    tasks: int
    mean_ranks: Mapping[str, float]
    statistic: float
    p_value: float
    critical_distance: float
    groups: Sequence[Sequence[str]]


def ranks(rates: Mapping[str, Sequence[float]], confidence: float = CONFIDENCE) -> Ranks | None:
    """Rank policies on every task and compare the mean ranks.

    Demšar 2006, J. Machine Learning Research 7:1-30, section 3.2.2.

    Args:
        rates: policy -> success rate on each task; the same tasks for all, in the same order.
        confidence: of the critical distance, for all pairs together.

    Returns:
        None with fewer than three policies or two tasks, which take no such test.

    """
    labels, table = list(rates), np.array(list(rates.values()), dtype=float)  # [policies, tasks]
    if len(labels) < MIN_POLICIES or table.shape[1] < 2:
        return None
    mean = stats.rankdata(-table, axis=0).mean(axis=1)
    order = sorted(range(len(labels)), key=lambda i: (mean[i], labels[i]))
    statistic, p_value = 0.0, 1.0
    if np.ptp(table, axis=0).any():  # else all is tied and the statistic is 0 / 0
        found = stats.friedmanchisquare(*table)
        statistic, p_value = float(found.statistic), float(found.pvalue)
    distance = critical_distance(len(labels), table.shape[1], confidence)
    ranked = {labels[i]: float(mean[i]) for i in order}
    return Ranks(
        tasks=table.shape[1],
        mean_ranks=ranked,
        statistic=statistic,
        p_value=p_value,
        critical_distance=distance,
        groups=_groups(ranked, distance),
    )


def critical_distance(policies: int, tasks: int, confidence: float = CONFIDENCE) -> float:
    """Nemenyi's critical distance of mean ranks (Demšar 2006, section 3.2.2)."""
    quantile = stats.studentized_range.ppf(confidence, policies, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(policies * (policies + 1) / (6 * tasks)))


def _groups(ranked: Mapping[str, float], distance: float) -> list[list[str]]:
    """Largest runs of policies whose mean ranks lie within the distance."""
    labels, found, reached = list(ranked), list[list[str]](), 0
    for start, label in enumerate(labels):
        end = sum(ranked[other] <= ranked[label] + distance for other in labels)
        if end - start > 1 and end > reached:
            found.append(labels[start:end])
        reached = max(reached, end)
    return found
