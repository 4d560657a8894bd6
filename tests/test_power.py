"""Power that is enumerated, and plans that have what was asked for and no episode to spare."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.proportion import test_proportions_2indep as their_score_test

from analysis.statistics import (
    Tally,
    difference_test,
    discordance,
    episodes_paired,
    episodes_unpaired,
    mcnemar,
    paired_power,
    power_at_most,
    sweep_power,
    unpaired_interval,
    unpaired_power,
    unpaired_test,
)
from analysis.statistics.unpaired import unpaired_score

# ------------------------------------------------------------------ cells of their own


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:873-890, table II, method 6
        ((56, 70, 48, 80), 0.0528, 0.3382),
        ((9, 10, 3, 10), 0.1700, 0.8406),
        ((5, 56, 0, 29), -0.0326, 0.1933),
    ],
)
def test_the_interval_of_miettinen_and_nurminen_equals_published_values(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert unpaired_interval(*counts) == pytest.approx((low, high), abs=5e-5)


def test_its_test_agrees_with_statsmodels() -> None:
    for counts in ((56, 70, 48, 80), (9, 10, 3, 10), (490, 500, 480, 500), (0, 7, 3, 9)):
        theirs = their_score_test(*counts, method="score", compare="diff").pvalue
        assert float(unpaired_test(*counts)) == pytest.approx(theirs, abs=1e-9)
    assert unpaired_test(7, 7, 9, 9) == 1


@pytest.mark.parametrize("difference", [-0.3, -0.05, 0.1, 0.4])
def test_the_score_uses_the_likeliest_rates_under_the_difference(difference: float) -> None:
    first, first_cells, second, second_cells = 21, 30, 11, 25

    def steep(other: float) -> float:  # how fast the likelihood grows with the second rate
        one = other + difference
        return (
            first / one - (first_cells - first) / (1 - one)
            + second / other - (second_cells - second) / (1 - other)
        )  # fmt: skip

    edge = 1e-12
    best = brentq(steep, max(0, -difference) + edge, min(1, 1 - difference) - edge, xtol=1e-14)
    one = best + difference
    cells = first_cells + second_cells
    variance = one * (1 - one) / first_cells + best * (1 - best) / second_cells
    apart = first / first_cells - second / second_cells - difference
    expected = apart / math.sqrt(variance * cells / (cells - 1))
    found = unpaired_score(first, first_cells, second, second_cells, difference)
    assert float(found) == pytest.approx(expected, abs=1e-9)


def test_the_ends_are_where_the_score_is_that_of_the_confidence() -> None:
    z = stats.norm.ppf(0.975)
    for counts in ((490, 500, 480, 500), (10, 10, 8, 10), (20, 20, 15, 15)):
        for end in unpaired_interval(*counts):
            if abs(end) < 1:
                assert abs(unpaired_score(*counts, end)) == pytest.approx(z, abs=1e-6)


def test_equals_on_cells_of_their_own_are_seldom_told_apart() -> None:
    found = []
    for episodes in (10, 20, 30, 40, 50, 70, 100, 200, 500):
        won = np.arange(episodes + 1)
        told_apart = unpaired_test(won[:, None], episodes, won, episodes) <= 0.05
        rates = np.linspace(0.8, 0.999, 200)[:, None]
        chance = stats.binom.pmf(won, episodes, rates)
        found.append(((chance @ told_apart) * chance).sum(axis=1).max())
    print(f"\n{max(found):.4f}")
    assert max(found) <= 0.06


# ------------------------------------------------------------------ power, counted another way


def test_the_power_of_mcnemars_test_is_that_of_all_outcomes() -> None:
    cells, difference, discordant = 60, 0.2, 0.4
    first, second = np.meshgrid(np.arange(cells + 1), np.arange(cells + 1), indexing="ij")
    rest = cells - first - second
    shares = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    possible = rest >= 0
    counts = np.stack([first, second, rest], axis=-1)[possible]
    chance = stats.multinomial.pmf(counts, cells, shares)
    found = (mcnemar(counts[:, 0], counts[:, 1]) <= 0.05) & (counts[:, 0] > counts[:, 1])
    expected = float(chance[found].sum())
    assert paired_power(cells, difference, discordant) == pytest.approx(expected, abs=1e-9)
    assert paired_power(cells, -difference, discordant) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("first", "second"), [(0.95, 0.8), (0.6, 0.9), (1.0, 0.9)])
def test_the_power_on_cells_of_their_own_is_that_of_all_outcomes(
    first: float, second: float
) -> None:
    episodes, won = 47, np.arange(48)
    p = unpaired_test(won[:, None], episodes, won, episodes)
    side = np.sign(first - second) * (won[:, None] - won) > 0
    chances = [stats.binom.pmf(won, episodes, rate) for rate in (first, second)]
    expected = float(chances[0] @ ((p <= 0.05) & side) @ chances[1])
    assert unpaired_power(episodes, first, second) == pytest.approx(expected, abs=1e-9)


# ------------------------------------------------------------------ plans


@pytest.mark.parametrize("power", [0.8, 0.9])
@pytest.mark.parametrize(
    ("difference", "discordant"), [(0.05, 0.2), (0.03, 0.0675), (-0.03, 0.03), (0.3, 0.5)]
)
def test_planned_cells_have_the_power_and_one_less_has_not(
    difference: float, discordant: float, power: float
) -> None:
    planned = int(episodes_paired(difference, discordant, power))
    more = [paired_power(n, difference, discordant) for n in range(planned - 1, 2 * planned + 9)]
    assert more[0] < power <= min(more[1:])


@pytest.mark.parametrize(
    ("first", "second", "power"),
    [(0.95, 0.98, 0.8), (0.9, 0.98, 0.9), (0.5, 0.9, 0.8), (1.0, 0.9, 0.8), (0.98, 0.9, 0.9)],
)
def test_planned_episodes_have_the_power_and_one_less_has_not(
    first: float, second: float, power: float
) -> None:
    planned = episodes_unpaired(first, second, power)
    more = [unpaired_power(n, first, second) for n in range(planned - 1, 2 * planned)]
    assert more[0] < power <= min(more[1:])


@pytest.mark.parametrize(
    ("difference", "discordant", "spread", "tasks"),
    [(0.05, 0.2, 0.0, 40), (0.03, 0.1, 0.0, 40), (0.05, 0.2, 0.05, 40), (0.1, 0.3, 0.0, 10)],
)
def test_planned_rounds_have_the_power_and_hardly_an_episode_to_spare(
    difference: float, discordant: float, spread: float, tasks: int
) -> None:
    """Sweeps of other seeds than the plan's, and spread evenly around the difference."""
    planned = int(episodes_paired(difference, discordant, tasks=tasks, task_spread=spread))
    assert planned % tasks == 0
    each, random, runs = planned // tasks, np.random.default_rng(5), 20_000

    def power(each: int) -> float:
        apart = difference + spread * np.sqrt(12) * (random.random((runs, tasks)) - 0.5)
        told = random.binomial(each, discordant, size=apart.shape)
        first = random.binomial(told, (discordant + apart) / (2 * discordant))
        tally = Tally(first * 1.0, (told - first) * 1.0, np.full(apart.shape, float(each)))
        return float(((difference_test(tally) <= 0.05) & (tally.difference > 0)).mean())

    found, less = power(each), power(each - max(2, each // 20))
    print(f"\n{planned} episodes: power {found:.3f}; {less:.3f} with fewer")
    assert less < 0.8 <= found + 3 * math.sqrt(0.16 / runs) and found < 0.83


def test_one_task_of_a_simulated_sweep_has_the_enumerated_power() -> None:
    simulated = sweep_power(300, 1, 0.1, 0.3)
    assert simulated == pytest.approx(paired_power(300, 0.1, 0.3), abs=0.01)


def test_tasks_bound_the_power() -> None:
    assert power_at_most(0.05, 0.95, 0.0, 40) == 1
    bound = power_at_most(0.05, 0.95, 0.1, 20)
    assert sweep_power(20_000, 20, 0.05, 0.2, task_spread=0.1) == pytest.approx(bound, abs=0.015)
    assert math.isinf(episodes_paired(0.05, 0.2, tasks=4, task_spread=0.1))


def test_pairing_saves_episodes_beside_the_score_test() -> None:
    alone = episodes_unpaired(0.95, 0.98)
    assert episodes_paired(0.03, discordance(0.95, 0.98, 0.6)) < 0.6 * alone
