"""Scores of attention maps: definitions, ties, chance and the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from analysis.attention.scores import MEASURES, chance, score, score_levels
from wambench.errors import UserError

SIDE = 64


def disc(row: float, column: float, radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[:SIDE, :SIDE]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def test_a_hand_made_map() -> None:
    #  map: 4 2   region: x .
    #       1 1           x .
    found = score([[4, 2], [1, 1]], [[True, False], [True, False]])
    assert found.mass == 5 / 8 and found.lift == 5 / 4 and found.pointing == 1
    # Pairs of in and out: 4>2, 4>1, 1<2, 1=1: 2.5 of 4. The two highest are 4 and 2: one is inside.
    assert found.auroc == 2.5 / 4 and found.iou == pytest.approx(1 / 3)
    p = np.array([4, 2, 1, 1]) / 8
    assert found.nss == pytest.approx(((p[[0, 2]] - p.mean()) / p.std()).mean())
    assert found.entropy == pytest.approx(-(p * np.log(p)).sum() / np.log(4))


def test_the_area_under_the_curve_is_mann_whitneys() -> None:
    random = np.random.default_rng(0)
    d = random.integers(0, 5, (SIDE, SIDE)).astype(float)  # many ties
    region = disc(20, 30, 9)
    expected = mannwhitneyu(d[region], d[~region]).statistic / (region.sum() * (~region).sum())
    assert score(d, region).auroc == pytest.approx(expected, abs=1e-12)


def test_a_uniform_map_scores_chance_exactly() -> None:
    region = disc(20, 30, 9)
    found, expected = score(np.ones((SIDE, SIDE)), region), chance(float(region.mean()))
    for measure, level in expected.items():
        assert getattr(found, measure) == pytest.approx(level), measure
    assert found.entropy == pytest.approx(1)


def test_maps_that_know_nothing_score_chance_on_average() -> None:
    random = np.random.default_rng(1)
    region = disc(40, 22, 8)
    noise = [score(random.exponential(size=(SIDE, SIDE)), region) for _ in range(400)]
    for measure, level in chance(float(region.mean())).items():
        values = np.array([getattr(found, measure) for found in noise])
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean() - level) < 4 * error + 2e-3, measure


def test_the_region_itself_is_at_the_top() -> None:
    random = np.random.default_rng(2)
    region = disc(30, 30, 10)
    top = score(region.astype(float), region)
    assert (top.mass, top.pointing, top.auroc, top.iou) == (1, 1, 1, 1)
    for _ in range(50):
        blurred = region + random.exponential(size=region.shape)
        other = score(blurred, region)
        for measure in MEASURES[:-1]:
            assert getattr(top, measure) >= getattr(other, measure), measure


def test_ties_do_not_depend_on_the_order_of_pixels() -> None:
    blocks = np.kron(np.random.default_rng(3).integers(0, 3, (4, 4)), np.ones((16, 16)))
    region = disc(24, 24, 12)
    shuffle = np.random.default_rng(4).permutation(SIDE * SIDE)
    one = score(blocks, region)
    other = score(blocks.ravel()[shuffle], region.ravel()[shuffle])
    for measure in MEASURES:
        assert getattr(one, measure) == pytest.approx(getattr(other, measure), abs=1e-12)


def test_tokens_are_scored_as_their_pixels_are() -> None:
    random = np.random.default_rng(5)
    values = random.exponential(size=(4, 4))
    region = disc(24, 24, 12)
    blocks = np.kron(np.arange(16).reshape(4, 4), np.ones((16, 16), int))
    inside = np.bincount(blocks[region], minlength=16)
    by_pixel = score(values.ravel()[blocks], region)
    by_token = score_levels(values.ravel(), inside, 256 - inside)
    for measure in MEASURES:
        assert getattr(by_token, measure) == pytest.approx(getattr(by_pixel, measure), abs=1e-12)


@pytest.mark.parametrize(
    ("density", "region", "said"),
    [
        ([1, 2], [False, False], "the region is empty"),
        ([1, 2], [True, True], "the region is the whole picture"),
        ([0, 0], [True, False], "zero everywhere"),
        ([1, np.nan], [True, False], "not finite"),
        ([1, -1], [True, False], "negative"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    density: list[float], region: list[bool], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        score(density, region)
