"""The interval of a success rate, held against every rate there can be: nothing is simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import clopper_pearson
from tests import coverage
from tests.coverage import EPISODES, METHODS, mean_width, worst


def test_the_interval_covers_at_every_rate_and_number_of_episodes() -> None:
    found = {
        episodes: min(worst(ends), worst(ends, 0.5, 1 - 1e-9))
        for episodes in range(10, 501)
        for ends in [clopper_pearson(np.arange(episodes + 1), episodes)]
    }
    print(f"\nworst {min(found.values()):.6f}")
    assert min(found.values()) >= 0.95 - 1e-9


def test_the_worst_is_not_better_than_what_a_fine_grid_finds() -> None:
    episodes, rates = 50, np.linspace(0.8, 0.999, 4001)
    for name in METHODS:
        low, high = METHODS[name](episodes)
        holds = (low <= rates[:, None]) & (rates[:, None] <= high)
        chance = stats.binom.pmf(np.arange(episodes + 1), episodes, rates[:, None])
        grid = float((chance * holds).sum(axis=1).min())
        assert worst((low, high)) <= grid + 1e-9
        assert worst((low, high)) == pytest.approx(grid, abs=0.03)


@pytest.mark.parametrize("name", ["Wilson", "mid-P", "Jeffreys", "Agresti-Coull"])
def test_shorter_intervals_do_not_cover(name: str) -> None:
    assert min(worst(METHODS[name](episodes)) for episodes in EPISODES) < 0.945


def test_blakers_covers_and_is_shorter_by_a_twentieth_at_most() -> None:
    for episodes in (10, 50, 100):
        ends = METHODS["Blaker"](episodes)
        assert worst(ends) >= 0.95 - 1e-9
        assert 0.94 < mean_width(ends) / mean_width(METHODS["Clopper-Pearson"](episodes)) < 1


def test_blakers_lies_within_the_exact_interval() -> None:
    low, high = METHODS["Blaker"](20)
    exact = clopper_pearson(np.arange(21), 20)
    assert (low >= exact[0] - 1e-9).all() and (high <= exact[1] + 1e-9).all()


def test_the_page_has_the_table() -> None:
    page = Path(coverage.__file__).parents[1] / "docs" / "statistics.md"
    text = page.read_text(encoding="utf-8")
    for row in coverage.rows():
        assert row in text.replace("**", "")
