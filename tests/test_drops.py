"""The statistics of drops: simulated policies whose true drop is known, and cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from analysis.statistics import Design, clustered, drop, drop_difference, paired
from analysis.statistics.drops import Side, apart
from analysis.statistics.tally import Floats

RUNS = 500


def not_above(share: float, found: int, of: int) -> bool:
    """Whether so many of so many can be, if no more than ``share`` is true (chance 1 in 1000)."""
    return bool(stats.binomtest(found, of, share, "greater").pvalue > 0.001)


def design(tasks: int, each: int) -> Design:
    """``each`` perturbed cells of every base task, held against one plain cell of it."""
    task = np.repeat(np.arange(tasks), each)
    return Design(task, task, np.ones(task.size), np.ones(task.size))


def rates(
    random: np.random.Generator, shape: tuple[int, ...], rate: float, fall: float, spread: float
) -> tuple[Floats, Floats]:
    """Of plain and of perturbed cells of each task: tasks differ, and perturbations hit some more.

    ``fall``: on the logit scale; ``spread``: 1 for tasks that differ much.
    """
    task = logit(rate) + spread * random.normal(size=shape)
    return expit(task), expit(task - fall + 0.5 * spread * random.normal(size=shape))


@pytest.mark.parametrize(("tasks", "each"), [(10, 36), (40, 8)])
@pytest.mark.parametrize(
    ("rate", "fall", "spread"), [(0.5, 1.5, 1), (0.9, 0, 0), (0.9, 1.5, 1), (0.98, 0, 0.5)]
)
def test_the_interval_of_a_drop_covers(
    tasks: int, each: int, rate: float, fall: float, spread: float
) -> None:
    random, cells = np.random.default_rng(1), design(tasks, each)
    many = rates(random, (1_000_000,), rate, fall, spread)
    truth = float(many[0].mean() - many[1].mean())
    plain, perturbed = rates(random, (RUNS, tasks), rate, fall, spread)
    before = (random.random(plain.shape) < plain).repeat(each, axis=1) * 1.0
    after = random.random((RUNS, tasks * each)) < perturbed.repeat(each, axis=1)
    found = [drop(cells, *one).interval for one in zip(before, after, strict=True)]
    held = np.mean([ends is not None and ends[0] <= truth <= ends[1] for ends in found])
    print(f"\n{tasks} x {each}, {rate} less {truth:.3f}: {held:.3f}")
    assert 0.92 <= held <= 0.995


def test_pairs_of_cells_alone_would_be_far_too_sure() -> None:
    """Why drops are not judged as two policies are: one plain cell is in 36 pairs."""
    random, tasks, each = np.random.default_rng(2), 10, 36
    held = 0
    for _ in range(200):
        before = (random.random(tasks) < 0.98).repeat(each)
        after = random.random(tasks * each) < 0.98
        pairs = np.stack([before, after], axis=1).reshape(tasks, each, 2)
        ends = paired([list(pairs)]).interval
        held += ends is not None and ends[0] <= 0 <= ends[1]
    assert held / 200 < 0.6


@pytest.mark.parametrize(("tasks", "each"), [(10, 36), (40, 8)])
@pytest.mark.parametrize("levels", [(0.97, 0.8), (0.6, 0.5)])
def test_equal_drops_are_told_apart_in_5_percent_at_most(
    tasks: int, each: int, levels: tuple[float, float]
) -> None:
    """Two policies of different levels that lose the same, by tasks more or less, on the whole."""
    random, cells, runs = np.random.default_rng(3), design(tasks, each), 200
    false = 0
    for _ in range(runs):
        lost = 0.25 + 0.1 * random.uniform(-1, 1, size=(2, tasks))
        won = [
            (
                (random.random(tasks) < level).repeat(each),
                random.random(tasks * each) < (level - own).repeat(each),
            )
            for level, own in zip(levels, lost, strict=True)
        ]
        (a, after_a), (b, after_b) = won
        after = after_a & ~after_b, after_b & ~after_a
        found = drop_difference(cells, (a & ~b, b & ~a), after)
        false += found.p_value <= 0.05
    print(f"\n{tasks} x {each}, {levels}: {false / runs:.3f}")
    assert not_above(0.05, false, runs)


def test_policies_that_lose_differently_are_told_apart() -> None:
    random, cells = np.random.default_rng(4), design(40, 8)
    found = 0
    for _ in range(50):
        first, second = random.random(320) < 0.85, random.random(320) < 0.5
        nothing = np.zeros(320)
        one = drop_difference(cells, (nothing, nothing), (first & ~second, second & ~first))
        assert one.difference is not None and one.interval is not None
        # The p-value is the confidence at which the interval meets 0.
        assert (one.p_value <= 0.05) == (not one.interval[0] <= 0 <= one.interval[1])
        found += one.p_value <= 0.05
    assert found >= 45


def test_equal_weights_are_the_interval_over_tasks() -> None:
    random = np.random.default_rng(5)
    won = random.random((12, 7)) < 0.7
    side = Side(np.repeat(np.arange(12), 7), np.full(84, 3.0), np.ones(84))
    assert side.worth == pytest.approx(84)
    tasks = list(zip(side.by_task(won.ravel()), side.cells, strict=True))
    assert clustered([tasks]) == pytest.approx(clustered([[(int(t.sum()), 7) for t in won]]))


def test_a_drop_by_hand() -> None:
    """Two plain cells, one solved: three perturbed cells of it, one of the other."""
    task = np.array([0, 0, 0, 1])
    cells = Design(task, task, np.ones(4), np.ones(4))
    found = drop(cells, np.array([1.0, 1, 1, 0]), np.array([1, 0, 0, 1]))
    assert (found.cells, found.tasks) == (4, 2)
    assert (found.plain, found.perturbed, found.drop) == (0.75, 0.5, 0.25)
    assert found.interval is not None and found.interval[0] < 0.25 < found.interval[1]
    assert cells.plain_side.worth == pytest.approx(16 / 10)
    alone = Design(task[:3], task[:3], np.ones(3), np.ones(3))
    assert drop(alone, np.ones(3), np.zeros(3)).interval is None, "one task tells nothing"
    weighted = Design(task, task, np.ones(4), np.array([1.0, 1, 1, 3]))
    assert drop(weighted, np.array([1.0, 1, 1, 0]), np.array([1, 0, 0, 1])).drop == pytest.approx(
        -1 / 6
    )


def test_intervals_of_independent_numbers_add_as_squares() -> None:
    low, high = apart(0.8, (0.7, 0.9), 0.5, (0.3, 0.6), 0.0)
    assert (low, high) == pytest.approx((0.3 - 0.02**0.5, 0.3 + 0.05**0.5))
    low, high = apart(0.8, (0.7, 0.9), 0.5, (0.4, 0.6), 1.0)
    assert (low, high) == pytest.approx((0.3, 0.3))
