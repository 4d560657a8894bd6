"""Intervals against published values, by hand, and for what must hold of any of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.statistics import MIN_TASKS, clustered, holm, paired, wilson

Z = 1.959963984540054  # 97.5 % point of the normal distribution


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_published_values(
    successes: int, episodes: int, low: float, high: float
) -> None:
    assert wilson(successes, episodes) == pytest.approx((low, high), abs=5e-5)


def test_wilson_ends_are_where_the_score_test_just_accepts() -> None:
    successes, episodes = 7, 12
    for end in wilson(successes, episodes):
        score = (successes / episodes - end) / math.sqrt(end * (1 - end) / episodes)
        assert abs(score) == pytest.approx(Z)


def test_wilson_knows_nothing_without_episodes() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("episodes", [1, 2, 10, 1000])
def test_wilson_of_none_and_all(episodes: int) -> None:
    low, high = wilson(0, episodes)
    assert low == 0 and high == pytest.approx(Z**2 / (episodes + Z**2))
    low, high = wilson(episodes, episodes)
    assert high == 1 and low == pytest.approx(episodes / (episodes + Z**2))


def test_wilson_holds_the_rate_is_symmetric_and_shrinks() -> None:
    for episodes in (1, 3, 20):
        for successes in range(episodes + 1):
            low, high = wilson(successes, episodes)
            assert 0 <= low <= successes / episodes <= high <= 1
            assert low < high
            assert wilson(episodes - successes, episodes) == pytest.approx((1 - high, 1 - low))
            more = wilson(10 * successes, 10 * episodes)
            assert more[1] - more[0] < high - low
            surer = wilson(successes, episodes, confidence=0.99)
            assert surer[1] - surer[0] > high - low


@pytest.mark.parametrize(("successes", "episodes"), [(-1, 3), (4, 3), (0, -1)])
def test_wilson_refuses_impossible_counts(successes: int, episodes: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        wilson(successes, episodes)


def test_clustered_needs_enough_tasks_in_every_suite() -> None:
    enough, few = [(1, 2)] * MIN_TASKS, [(1, 2)] * (MIN_TASKS - 1)
    assert clustered([enough, enough]) is not None
    assert clustered([enough, few]) is None
    assert clustered([]) is None


def test_clustered_widens_when_tasks_are_all_or_nothing() -> None:
    alike = clustered([[(5, 10)] * 10])
    apart = clustered([[(10, 10), (0, 10)] * 5])
    assert alike == (0.5, 0.5)
    assert apart is not None
    independent = wilson(50, 100)
    assert apart[1] - apart[0] > independent[1] - independent[0]


def test_clustered_agrees_with_the_normal_approximation() -> None:
    tasks = [(successes, 20) for successes in range(21)] * 5
    rates = np.array([successes / episodes for successes, episodes in tasks])
    error = Z * rates.std() / math.sqrt(len(rates))
    assert clustered([tasks]) == pytest.approx((0.5 - error, 0.5 + error), abs=0.01)


def test_clustered_weighs_suites_alike_and_repeats_itself() -> None:
    small, large = [(2, 2)] * 5, [(0, 50)] * 20
    assert clustered([small, large]) == (0.5, 0.5)
    mixed = [[(k, 4) for k in range(5)], [(3, 4)] * 6]
    assert clustered(mixed) == clustered(mixed)


# ------------------------------------------------------------------ differences


def cells(both: int, first: int, second: int, neither: int) -> list[tuple[bool, bool]]:
    return (
        [(True, True)] * both + [(True, False)] * first
        + [(False, True)] * second + [(False, False)] * neither
    )  # fmt: skip


def test_mcnemar_is_the_sign_test_of_the_cells_that_differ() -> None:
    found = paired([[cells(50, 9, 1, 40)]])
    assert (found.cells, found.only_first, found.only_second) == (100, 9, 1)
    assert found.p_value == pytest.approx(2 * (1 + 10) / 2**10)
    assert found.difference == pytest.approx(0.08)
    assert found.interval is None  # one task tells nothing about tasks
    assert paired([[cells(50, 1, 9, 40)]]).difference == pytest.approx(-0.08)


def test_equal_policies_do_not_differ() -> None:
    found = paired([[cells(5, 0, 0, 5)] * MIN_TASKS])
    assert found.p_value == 1 and found.difference == 0 and found.interval == (0, 0)
    assert paired([]).difference is None and paired([[]]).p_value == 1


def test_the_interval_of_a_difference_widens_when_one_task_makes_it() -> None:
    spread = paired([[cells(10, 2, 0, 8)] * 10])
    lumped = paired([[cells(10, 0, 0, 10)] * 9 + [cells(0, 20, 0, 0)]])
    assert spread.difference == lumped.difference == pytest.approx(0.1)
    assert spread.interval == pytest.approx((0.1, 0.1))
    assert lumped.interval is not None and lumped.interval[0] == 0 and lumped.interval[1] > 0.2


def test_holm_equals_the_textbook() -> None:
    # 0.01 * 4, then 0.03 * 3 = 0.09 is raised from below, 0.03 * 2, and 0.04 stays below it
    assert holm([0.04, 0.01, 0.03, 0.03]) == pytest.approx([0.09, 0.04, 0.09, 0.09])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []
