"""Simulated sweeps: how often verdicts are wrong, intervals miss, and early stops come too early.

Everything runs what reports run, on arrays of many simulated sweeps. Seeds are fixed, so a failure
means that the mathematics changed.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from analysis.statistics import (
    Tally,
    clustered,
    difference_test,
    equivalence,
    evidence,
    holm,
    mcnemar,
    standing,
)
from analysis.statistics.paired import difference_interval
from analysis.statistics.sequential import stopping_rounds
from analysis.statistics.tally import Floats
from analysis.statistics.verdicts import Kind

RUNS = 10_000
CORRELATION = 0.3  # of two policies' outcomes in a cell, as a share of the most that can be
RATES = (0.5, 0.9, 0.98)


def tallies(random: np.random.Generator, first: Floats, second: Floats, each: int) -> Tally:
    """Play ``each`` cells of each task, [runs, tasks], with these success rates."""
    lower, higher = np.minimum(first, second), np.maximum(first, second)
    both = first * second + CORRELATION * lower * (1 - higher)
    shares = np.stack([first - both, second - both, 1 - first - second + 2 * both], axis=-1)
    counts = random.multinomial(each, shares).astype(float)
    return Tally(counts[..., 0], counts[..., 1], np.full(first.shape, float(each)))


def equal_policies(
    random: np.random.Generator, shape: tuple[int, ...], rate: float, spread: float
) -> tuple[Floats, Floats]:
    """Rates of two policies at each task: tasks differ, and each suits one of the two by chance.

    Both are drawn alike, so neither is better on tasks like these. ``spread``: of what is the
    policy's own, on the logit scale, beside 1 of what is the task's.
    """
    middle = np.log(rate / (1 - rate)) + random.normal(size=shape)
    own = spread * random.normal(size=(2, *shape))
    return expit(middle + own[0]), expit(middle + own[1])


def not_above(share: float, found: NDArray[np.bool_]) -> bool:
    """Whether so many of so many can be, if no more than ``share`` is true (chance 1 in 1000)."""
    return bool(stats.binomtest(int(found.sum()), found.size, share, "greater").pvalue > 0.001)


# ------------------------------------------------------------------ false verdicts


def test_sweeps_of_four_equal_policies_give_a_false_verdict_in_5_percent_at_most() -> None:
    """Six pairs each, 40 tasks of ten cells that share their difficulty, Holm over the pairs."""
    random, tasks, each, policies, batch = np.random.default_rng(0), 40, 10, 4, 500
    pairs = list(itertools.combinations(range(policies), 2))
    p_values, by_cells = [], []
    for _ in range(RUNS // batch):
        task = 1.5 + random.normal(size=(batch, 1, tasks, 1))
        cell = random.normal(size=(batch, 1, tasks, each))
        own = 0.7 * random.normal(size=(batch, policies, tasks, 1))
        won = random.random((batch, policies, tasks, each)) < expit(task + cell + own)
        total = np.full((batch, tasks), float(each))
        found = [
            Tally(
                (won[:, a] & ~won[:, b]).sum(-1) * 1.0,
                (won[:, b] & ~won[:, a]).sum(-1) * 1.0,
                total,
            )
            for a, b in pairs
        ]
        p_values.append(np.stack([difference_test(one) for one in found], axis=1))
        by_cells.append(np.stack([mcnemar(one.first, one.second) for one in found], axis=1))
    false = np.array([min(holm(list(run))) <= 0.05 for run in np.concatenate(p_values)])
    naive = np.array([min(holm(list(run))) <= 0.05 for run in np.concatenate(by_cells)])
    print(f"\nfalse verdicts {false.mean():.4f}, by McNemar's test alone {naive.mean():.4f}")
    assert len(false) == RUNS and false.mean() <= 0.05
    assert false.mean() > 0.01, "so careful that it is of no use"
    assert naive.mean() > 0.1, "the test over tasks is needed"


@pytest.mark.parametrize("apart", [0.0, 0.4])
def test_ranks_and_the_best_are_right_in_95_percent_at_least(apart: float) -> None:
    """Four policies, the first two always alike, the others ``apart`` on the logit scale.

    Ranks that are tied in truth are all true. 40 tasks of ten cells; policies suit tasks by chance.
    """
    random, runs, tasks, each = np.random.default_rng(9), 2000, 40, 10
    skill = apart * np.array([0.0, 0, -1, -2])
    labels = ["a", "b", "c", "d"]
    true = [(1 + int((skill > own).sum()), int((skill >= own).sum())) for own in skill]
    wrong = missed = size = 0
    total = np.full(tasks, float(each))
    for _ in range(runs):
        own = 0.7 * random.normal(size=(4, tasks, 1)) + skill[:, None, None]
        shared = 1.5 + random.normal(size=(tasks, 1)) + random.normal(size=(tasks, each))
        won = random.random((4, tasks, each)) < expit(shared + own)
        pairs = list(itertools.combinations(range(4), 2))
        tally = [
            Tally((won[a] & ~won[b]).sum(-1) * 1.0, (won[b] & ~won[a]).sum(-1) * 1.0, total)
            for a, b in pairs
        ]
        judged = holm([float(difference_test(one)) for one in tally])
        kinds: list[tuple[str, str, Kind]] = [
            (labels[a], labels[b], "undecided" if p > 0.05 else _better(one))
            for (a, b), one, p in zip(pairs, tally, judged, strict=True)
        ]
        found = standing(labels, kinds)
        assert found is not None
        ranks = list(found.ranks.values())
        wrong += any(low > t[0] or high < t[1] for (low, high), t in zip(ranks, true, strict=True))
        best = {label for label, t in zip(labels, true, strict=True) if t[0] == 1}
        missed += not best <= set(found.best)
        size += len(found.best)
    print(f"\nwrong {wrong / runs:.4f}, best missed {missed / runs:.4f}, named {size / runs:.2f}")
    assert wrong <= 0.05 * runs and missed <= wrong
    assert size / runs < 3 or not apart, "so careful that it is of no use"


def _better(tally: Tally) -> Kind:
    return "better" if tally.difference > 0 else "worse"


@pytest.mark.parametrize(("tasks", "each"), [(9, 4), (10, 50), (40, 50)])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_one_pair_of_equals_is_told_apart_in_5_percent_at_most(
    tasks: int, each: int, rate: float, spread: float
) -> None:
    random = np.random.default_rng(1)
    rates = equal_policies(random, (RUNS, tasks), rate, spread)
    tally = tallies(random, *rates, each)
    assert not_above(0.05, difference_test(tally) <= 0.05)
    if spread and each == 50 and rate < 0.98:
        assert (mcnemar(tally.first, tally.second) <= 0.05).mean() > 0.2


@pytest.mark.parametrize("spread", [0.0, 0.05])
@pytest.mark.parametrize(("margin", "discordant"), [(0.05, 0.2), (0.05, 0.05), (0.02, 0.08)])
def test_policies_that_differ_by_the_margin_are_called_equivalent_in_5_percent_at_most(
    margin: float, discordant: float, spread: float
) -> None:
    random = np.random.default_rng(2)
    apart = margin + spread * (random.random((RUNS, 40)) - 0.5) * min(1, discordant / margin - 1)
    for each in (10, 50):
        shares = np.stack([discordant + apart, discordant - apart, 2 - 2 * discordant + 0 * apart])
        counts = random.multinomial(each, np.moveaxis(shares, 0, -1) / 2).astype(float)
        tally = Tally(counts[..., 0], counts[..., 1], np.full(apart.shape, float(each)))
        assert not_above(0.05, equivalence(tally, margin) <= 0.05)


# ------------------------------------------------------------------ coverage


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("alike", [30.0, 1e9])
def test_the_interval_over_tasks_covers(rate: float, alike: float) -> None:
    """Four suites of ten tasks with fifty episodes; rates of tasks are of a beta distribution.

    ``alike`` is its size: the smaller, the more tasks differ.
    """
    random, runs = np.random.default_rng(3), 4000
    of_task = random.beta(alike * rate, alike * (1 - rate), size=(runs, 4, 10))
    won = random.binomial(50, of_task)
    held = 0
    for run in won.tolist():
        found = clustered([[(successes, 50) for successes in suite] for suite in run])
        assert found is not None
        held += found[0] <= rate <= found[1]
    print(f"\n{rate} {alike:g}: {held / runs:.3f}")
    assert 0.945 <= held / runs <= 0.98


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_the_interval_of_a_difference_covers(rate: float, spread: float) -> None:
    random = np.random.default_rng(4)
    tally = tallies(random, *equal_policies(random, (RUNS, 40), rate, spread), 50)
    low, high = difference_interval(tally)
    held = (low <= 0) & (high >= 0)
    print(f"\n{rate} {spread}: {held.mean():.3f}")
    assert 0.93 <= held.mean() <= 0.97


# ------------------------------------------------------------------ power and early stop


EFFECT, DISCORDANT, TASKS, MOST = 0.05, 0.2, 10, 250  # of the simulated early stops


def played(random: np.random.Generator, runs: int, difference: float) -> NDArray[np.int8]:
    """[runs, MOST, TASKS]; tasks favour one policy or the other, their mean is ``difference``."""
    apart = 0.05 * random.normal(size=(runs, TASKS))
    apart = np.clip(apart, -0.1, 0.1)
    apart += difference - apart.mean(axis=1, keepdims=True)
    draw = random.random((runs, MOST, TASKS), dtype=np.float32)
    first, second = (DISCORDANT + apart) / 2, (DISCORDANT - apart) / 2
    return (draw < first[:, None]).astype(np.int8) - (draw > 1 - second[:, None]).astype(np.int8)


def stopped(difference: float, runs: int, seed: int) -> dict[str, float]:
    """Share of runs with each decision, and mean episodes of a policy until then."""
    random, batch = np.random.default_rng(seed), 1000
    shares, episodes = dict.fromkeys(("better", "worse", "no such difference"), 0.0), 0.0
    for _ in range(runs // batch):
        when = stopping_rounds(evidence(played(random, batch, difference), EFFECT))
        first = np.minimum.reduce([*when.values(), np.full(batch, MOST)])
        episodes += TASKS * first.sum()
        for decision, round_ in when.items():
            shares[decision] += int(((round_ == first) & (round_ <= MOST)).sum())
    return {name: count / runs for name, count in (shares | {"episodes": episodes}).items()}


def mcnemar_power(episodes: int) -> float:
    """Chance that the exact test of so many cells finds EFFECT."""
    told = np.arange(episodes + 1)
    least = stats.binom.ppf(0.025, told, 0.5)
    least = np.where(stats.binom.cdf(least, told, 0.5) > 0.025, least - 1, least)
    share = (DISCORDANT + EFFECT) / 2 / DISCORDANT
    found = stats.binom.cdf(least, told, share) + stats.binom.cdf(least, told, 1 - share)
    return float((stats.binom.pmf(told, episodes, DISCORDANT) * found).sum())


def test_looking_after_every_round_calls_equals_different_in_5_percent_at_most() -> None:
    found = stopped(0.0, RUNS, seed=6)
    print(f"\n{found}")
    assert found["better"] + found["worse"] <= 0.05


def test_an_early_stop_saves_30_percent_of_the_episodes_at_equal_power() -> None:
    """Against the fewest episodes, fixed beforehand, whose exact test has the power it had."""
    there, nothing = stopped(EFFECT, 2000, seed=7), stopped(0.0, 2000, seed=8)
    power = there["better"]
    assert power >= 0.8 and there["no such difference"] <= 0.2 and there["worse"] <= 0.025
    fixed = next(n for n in range(300, 3000, 5) if mcnemar_power(n) >= power)
    saved = [1 - found["episodes"] / fixed for found in (there, nothing)]
    print(f"\npower {power:.3f} takes {fixed}; saved {saved[0]:.3f}, of equals {saved[1]:.3f}")
    assert min(saved) >= 0.3
