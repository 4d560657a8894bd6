"""The fewest episodes with which a test has the power that is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import stats

from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.power import POWER, SWEEPS, paired_power, sweep_power, unpaired_power

SURE = 0.99
"""That a simulated power is not below what was asked for by luck."""
MOST = 1_000_000
"""Episodes of a task; where so many do not find it, no number is taken to."""


def episodes_unpaired(
    first: float, second: float, power: float = POWER, confidence: float = CONFIDENCE
) -> int:
    """Episodes a policy when the two play different ones, enumerated.

    Args:
        first: success rate, between 0 and 1.
        second: another.
        power: chance that the two-sided test at this confidence finds the difference.
        confidence: 1 minus the chance of a false finding.

    Returns:
        The fewest that have the power, and of which any more have it too.

    """
    spread = math.sqrt(first * (1 - first) + second * (1 - second))
    alpha, beta = stats.norm.ppf([(1 + confidence) / 2, power])
    guess = ((alpha + beta) * spread / (first - second)) ** 2
    return _fewest(lambda n: unpaired_power(n, first, second, confidence) >= power, guess)


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

    Of one task it is enumerated. Of several the test asks tasks too and sweeps are simulated; so
    many rounds (an episode of every task) are taken that the power is not less, ``SURE``.

    Args:
        difference: of the success rates.
        discordant: share of cells that one alone solves, at least ``abs(difference)``.
        power: as in :func:`episodes_unpaired`.
        confidence: as in :func:`episodes_unpaired`.
        task_spread: standard deviation of the true difference over tasks.
        tasks: how many.

    Returns:
        Whole rounds; infinite if these tasks are too few for any number of episodes.

    """
    # Connor 1987, Biometrics 43:207-211, and what exactness costs; of several tasks Student's
    # quantile, and the variance that they bring is taken off what is allowed.
    alpha = (stats.t(tasks - 1) if tasks > 1 else stats.norm()).ppf((1 + confidence) / 2)
    beta = stats.norm.ppf(power)
    spread = alpha * math.sqrt(discordant) + beta * math.sqrt(discordant - difference**2)
    allowed = difference**2 - (alpha + beta) ** 2 * task_spread**2 / tasks
    guess = spread**2 / max(allowed, difference**2 / 100) + 1 / abs(difference)
    if tasks == 1:
        return _fewest(
            lambda n: paired_power(n, difference, discordant, confidence) >= power, guess
        )
    if power_at_most(difference, confidence, task_spread, tasks) <= power:
        return math.inf

    def enough(each: int) -> bool:
        found = sweep_power(each, tasks, difference, discordant, confidence, task_spread)
        return stats.binom.sf(round(found * SWEEPS) - 1, SWEEPS, power) <= 1 - SURE

    rounds = _first(enough, max(1, round(guess / tasks)), MOST)
    return math.inf if rounds is None else tasks * rounds


def power_at_most(difference: float, confidence: float, task_spread: float, tasks: int) -> float:
    """Power that no number of episodes of these tasks exceeds: that of the t test over tasks."""
    if not task_spread:
        return 1.0
    freedom = tasks - 1
    apart = abs(difference) / task_spread * math.sqrt(tasks)
    return float(stats.nct.sf(stats.t.ppf((1 + confidence) / 2, freedom), freedom, apart))


def _fewest(enough: Callable[[int], bool], guess: float) -> int:
    """Smallest number from which on all are enough.

    Exact tests gain power in steps and lose a little between them, so the first that is enough may
    have larger ones that are not: the next 50 and tenth are looked at, and fewer beyond 10,000,
    where the steps are too small to matter.
    """
    first = _first(enough, max(1, round(guess)), None)
    assert first is not None
    last = first + min(50 + first // 10, 500, 5_000_000 // first)
    return next((n + 1 for n in range(last, first, -1) if not enough(n)), first)


def _first(enough: Callable[[int], bool], guess: int, most: int | None) -> int | None:
    """A number that is enough, with one before it that is not (or 1); None: not even ``most``."""
    step = max(1, guess // 20)
    low, high = guess, guess
    while not enough(high):
        if most is not None and high >= most:
            return None
        low, high, step = high, high + step, 2 * step
    if low == high:
        while low and enough(low):
            low, high, step = max(0, low - step), low, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
