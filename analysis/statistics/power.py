"""How many episodes a comparison of two policies needs."""

from __future__ import annotations

import math

from scipy import stats
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from analysis.statistics.intervals import CONFIDENCE

POWER = 0.8
"""Chance of finding a difference that is there; the customary one."""


def episodes_unpaired(
    first: float, second: float, power: float = POWER, confidence: float = CONFIDENCE
) -> int:
    """Episodes a policy when the two play different ones (statsmodels; test of proportions).

    Args:
        first: success rate, between 0 and 1.
        second: another.
        power: chance that a two-sided test at this confidence finds the difference.
        confidence: 1 minus the chance of a false finding.
    """
    found = samplesize_proportions_2indep_onetail(
        second - first, first, power, alpha=1 - confidence, alternative="two-sided"
    )
    return math.ceil(found)


def highest_correlation(first: float, second: float) -> float:
    """The highest correlation that outcomes of two policies with these rates can have."""
    low, high = sorted((first, second))
    if low in (0, 1) or high in (0, 1):
        return 0.0
    return math.sqrt(low * (1 - high) / (high * (1 - low)))


def discordance(first: float, second: float, correlation: float) -> float:
    """Share of cells that one policy solves and the other does not.

    Args:
        first: success rate.
        second: success rate.
        correlation: of the two outcomes of a cell, 0 if one tells nothing of the other.
    """
    spread = math.sqrt(first * (1 - first) * second * (1 - second))
    return first * (1 - second) + second * (1 - first) - 2 * correlation * spread


def episodes_paired(
    difference: float,
    discordant: float,
    power: float = POWER,
    confidence: float = CONFIDENCE,
    *,
    task_spread: float = 0.0,
    tasks: int = 1,
) -> float:
    """Episodes a policy when both play the same cells, for the test that verdicts use.

    Connor 1987, Biometrics 43:207-211, for McNemar's test, and 1 / difference more because it is
    exact, as for a continuity correction. With several tasks the quantile is Student's; and where
    policies differ by more at some tasks than at others, the variance that so many tasks bring is
    taken off what is allowed first.

    Args:
        difference: of the success rates.
        discordant: share of cells that one alone solves, at least ``abs(difference)``.
        power: as in :func:`episodes_unpaired`.
        confidence: as in :func:`episodes_unpaired`.
        task_spread: standard deviation of the true difference over tasks.
        tasks: how many.

    Returns:
        Whole episodes, one of each task at least; infinite if these tasks are too few for any
        number of them.

    """
    error = stats.t(tasks - 1) if tasks > 1 else stats.norm()
    alpha, beta = error.ppf((1 + confidence) / 2), stats.norm.ppf(power)
    allowed = difference**2 - (alpha + beta) ** 2 * task_spread**2 / tasks
    if allowed <= 0:
        return math.inf
    spread = alpha * math.sqrt(discordant) + beta * math.sqrt(discordant - difference**2)
    return max(tasks, math.ceil(spread**2 / allowed + 1 / abs(difference)))
