"""The latency at which success is lost: by hand, and calibrated on simulated runs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from analysis.statistics import Tally, iso_success
from analysis.statistics.iso_success import crossings
from analysis.statistics.paired import difference_interval

LATENCIES_MS = np.array([50.0, 100.0, 200.0, 400.0, 800.0])
RUNS = 1000


def test_it_is_read_off_the_monotone_curve() -> None:
    found = crossings([100, 200, 400], [0.02, 0.08, 0.3], [-0.1, 0.01, 0.1], [0.1, 0.2, 0.5])
    assert found.latency_ms == pytest.approx(150)  # half-way from 2 to 8 points
    assert found.low_ms == pytest.approx(50)  # the upper bound passes 5 points half-way to 100 ms
    assert found.high_ms == pytest.approx(200 + 200 * 4 / 9)
    assert found.longest_ms == 400 and np.allclose(found.losses, [0, 0.02, 0.08, 0.3])


def test_slowness_never_helps() -> None:
    """What rises with latency is pooled with what stands before it."""
    found = crossings([100, 200], [-0.1, 0.1], [-0.3, -0.1], [0.1, 0.3])
    assert np.allclose(found.losses, [0, 0, 0.15])  # 0 and -10 points are both -5
    assert found.latency_ms == pytest.approx(100 + 100 / 3)


def test_what_is_never_lost_is_more_than_was_played() -> None:
    found = crossings([100, 200], [0.0, 0.05], [-0.1, -0.1], [0.04, 0.2])
    assert (found.latency_ms, found.high_ms) == (None, None)
    assert found.low_ms == pytest.approx(100 + 100 / 16)


@pytest.mark.parametrize("each", [1, 4, 40])
def test_few_cells_that_all_agree_promise_little(each: int) -> None:
    """No failure in 10 tasks: only many cells exclude a loss of 5 points."""
    none, all_ = np.zeros((2, 10)), np.full((2, 10), float(each))
    found = iso_success([100, 200], Tally(none, none, all_))
    assert found.latency_ms is None
    assert (found.low_ms is None) == (each == 40)


def rates(
    random: np.random.Generator, shape: tuple[int, ...], middle: float, steep: float, spread: float
) -> NDArray[np.float64]:
    """Success of tasks at 0 ms and each latency, [*shape, 1 + latencies].

    Tasks differ in how hard they are and in how much slowness costs.
    """
    easy = middle + spread * random.normal(size=(*shape, 1))
    slope = steep * np.exp(0.5 * random.normal(size=(*shape, 1)))
    return expit(easy - slope * np.r_[0, LATENCIES_MS] / 100)


def truth(middle: float, steep: float, spread: float) -> float:
    """On tasks like these, where the mean curve, straight between latencies, has lost 5 points."""
    mean = rates(np.random.default_rng(9), (200_000,), middle, steep, spread).mean(axis=0)
    return float(np.interp(0.05, mean[0] - mean, np.r_[0, LATENCIES_MS], right=np.inf))


@pytest.mark.parametrize(
    ("middle", "steep", "spread"), [(1.5, 0.3, 1.0), (3.0, 0.5, 1.0), (0.0, 0.5, 1.5), (4, 1.5, 1)]
)
@pytest.mark.parametrize(("tasks", "each"), [(10, 4), (10, 20), (40, 20)])
def test_the_interval_holds_the_truth_in_95_percent(
    tasks: int, each: int, middle: float, steep: float, spread: float
) -> None:
    random = np.random.default_rng(0)
    chance = rates(random, (RUNS, tasks), middle, steep, spread)[:, :, None]
    # Half of what decides a cell is the cell's own, the same at every latency.
    shape = (RUNS, tasks, each, chance.shape[-1])
    own = random.random((*shape[:3], 1), dtype=np.float32)
    drawn = np.where(random.random(shape, dtype=np.float32) < 0.5, own, random.random(shape))
    won = np.moveaxis(drawn < chance, 2, -1)  # [runs, tasks, 1 + latencies, cells]
    first, second = won[:, :, :1], won[:, :, 1:]
    counts = [
        np.moveaxis(one.sum(axis=-1, dtype=float), 1, -1)
        for one in (first & ~second, second & ~first)
    ]
    tally = Tally(counts[0], counts[1], np.full(counts[0].shape, float(each)))
    low, high = difference_interval(tally)
    at, below, above, found = truth(middle, steep, spread), 0, 0, []
    for run in range(RUNS):
        one = crossings(LATENCIES_MS, tally.difference[run], low[run], high[run])
        ends = [np.inf if end is None else end for end in (one.low_ms, one.high_ms)]
        above, below = above + (ends[0] > at), below + (ends[1] < at)
        found.append(np.inf if one.latency_ms is None else one.latency_ms)
    print(f"\n{at:.0f} ms: median {np.median(found):.0f}, low {above / RUNS}, high {below / RUNS}")
    assert above + below <= 0.05 * RUNS + 2.5 * np.sqrt(0.05 * 0.95 * RUNS)
    if tasks * each == 800:
        assert np.median(found) == pytest.approx(at, rel=0.2)
