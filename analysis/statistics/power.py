"""The chance that a test finds a difference that is there.

It is that of the very test that gives verdicts, and of a finding in the right direction. Where the
test counts cells alone, the chance of every count is known and is added up; where it asks tasks
too, sweeps are simulated.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.paired import difference_test, mcnemar
from analysis.statistics.tally import Tally
from analysis.statistics.unpaired import unpaired_test

POWER = 0.8
"""Chance of finding a difference that is there; the customary one."""
RARE = 1e-12
"""Counts beyond where so little lies on either side are left out: they could only add."""
SWEEPS = 20_000
"""Simulated: at a power of 0.8 the share that finds it has a standard error of 0.003."""


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


def paired_power(
    cells: int, difference: float, discordant: float, confidence: float = CONFIDENCE
) -> float:
    """Chance that McNemar's exact test of so many cells finds the difference; enumerated.

    Args:
        cells: that both play, independent of each other.
        difference: of the success rates.
        discordant: share of cells that one alone solves, at least ``abs(difference)``.
        confidence: 1 minus the chance of a false finding.
    """
    alpha, share = 1 - confidence, (discordant + abs(difference)) / (2 * discordant)
    told = _counts(cells, discordant)
    # At most so many of the cells that differ may speak for the worse one.
    most = stats.binom.ppf(alpha / 2, told, 0.5)
    most = np.where(mcnemar(most, told - most) > alpha, most - 1, most)
    found = stats.binom.cdf(most, told, 1 - share)
    return float(stats.binom.pmf(told, cells, discordant) @ found)


def unpaired_power(
    episodes: int, first: float, second: float, confidence: float = CONFIDENCE
) -> float:
    """Chance that the test of two policies on cells of their own tells them apart; enumerated.

    Args:
        episodes: of each of the two.
        first: success rate.
        second: success rate.
        confidence: 1 minus the chance of a false finding.
    """
    low, high = sorted((first, second))
    worse = _counts(episodes, low)
    # Beside each count of the worse one, the fewest of the better one that are told apart.
    no, yes = worse, np.full_like(worse, episodes + 1)
    while (yes - no > 1).any():
        middle = (no + yes) // 2
        found = unpaired_test(middle, episodes, worse, episodes) <= 1 - confidence
        no, yes = np.where(found, no, middle), np.where(found, middle, yes)
    chances = stats.binom.pmf(worse, episodes, low)
    return float(chances @ stats.binom.sf(yes - 1, episodes, high))


def sweep_power(
    each: int,
    tasks: int,
    difference: float,
    discordant: float,
    confidence: float = CONFIDENCE,
    task_spread: float = 0.0,
) -> float:
    """Chance that the test over cells and tasks finds the difference; simulated, seeds fixed.

    The difference that a task has is normal around ``difference``. Where it is more than
    ``discordant``, all cells that differ there are one policy's.

    Args:
        each: cells of each task.
        tasks: how many.
        difference: of the success rates.
        discordant: share of cells that one alone solves, at least ``abs(difference)``.
        confidence: 1 minus the chance of a false finding.
        task_spread: standard deviation over tasks of the true difference.

    Returns:
        Share of ``SWEEPS`` simulated ones.

    """
    random = np.random.default_rng(0)
    apart = abs(difference) + task_spread * random.standard_normal((SWEEPS, tasks))
    apart = np.clip(apart, -1, 1)
    told = np.maximum(discordant, np.abs(apart))
    differ = random.binomial(each, told)
    better = random.binomial(differ, np.clip((told + apart) / (2 * told), 0, 1))
    counts = np.array([better, differ - better, np.full(apart.shape, each)], dtype=np.float64)
    tally = Tally(*counts)
    found = (difference_test(tally) <= 1 - confidence) & (tally.difference > 0)
    return float(found.mean())


def _counts(trials: int, rate: float) -> NDArray[np.int64]:
    """All counts that are not :data:`RARE`."""
    low, high = stats.binom.ppf([RARE, 1 - RARE], trials, rate)
    return np.arange(max(0, int(low)), int(high) + 1)
