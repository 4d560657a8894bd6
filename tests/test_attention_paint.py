"""Maps laid over pictures: squares as they are, or what lies between their middles."""

import numpy as np
import pytest

from analysis.attention import paint
from wambench.attention import Grid
from wambench.contract import Orientation

PICTURE = np.full((64, 64, 3), 200, np.uint8)


def test_a_smoothed_map_meets_its_squares_in_their_middles() -> None:
    lift = np.exp(np.random.default_rng(0).normal(size=(8, 8)))
    finer, grid = paint.smoothed(lift, Grid(8, 8, 0.1, 0.1, 0.9, 0.9))
    assert finer.shape == (grid.rows, grid.columns) == (64, 64) and grid[2:] == (0.1, 0.1, 0.9, 0.9)
    half = paint.FINER // 2
    middles = np.log(finer).reshape(8, paint.FINER, 8, paint.FINER)[:, half - 1 : half + 1, :]
    around = middles[..., half - 1 : half + 1].mean(axis=(1, 3))  # the four pixels at a middle
    assert np.abs(around - np.log(lift)).max() < 0.35, "a quarter of a square away at most"
    assert finer.min() >= lift.min() - 1e-9 and finer.max() <= lift.max() + 1e-9
    flat, _ = paint.smoothed(np.full((3, 5), 2.0), Grid(3, 5))
    assert np.allclose(flat, 2.0)


@pytest.mark.parametrize("orientation", ["upright", "rotated_180", "opengl"])
def test_smoothing_turns_nothing_round(orientation: Orientation) -> None:
    """The strongest square stays where it is, under every orientation."""
    lift = np.ones((4, 4))
    lift[0, 1] = 8.0
    squares, smooth = (
        paint.overlay(PICTURE, lift, Grid(4, 4), 8.0, orientation, smooth=chosen)
        for chosen in (False, True)
    )
    changed = np.abs(squares.astype(int) - PICTURE).sum(axis=-1) > 0
    assert len(np.unique(squares.reshape(-1, 3), axis=0)) == 2, "one colour a square"
    rows, columns = np.nonzero(changed)
    middle = rows.mean(), columns.mean()
    strength = np.abs(smooth.astype(int) - PICTURE).sum(axis=-1).astype(float)
    peak = np.argwhere(strength == strength.max()).mean(axis=0)
    assert np.abs(peak - middle).max() < 8
    assert len(np.unique(smooth.reshape(-1, 3), axis=0)) > 20
