"""How a map is laid over a picture: one scale for all, safe for colour-blind eyes.

A token is coloured by its *lift*: its attention over what it would get if all image tokens of the
same policy got alike. 1 leaves the picture as it is, more is orange, less is purple; how strongly
grows with the logarithm, so that twice and half are equally visible. What is nearly uniform thus
looks nearly uniform, however small its range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.attention import maps
from wambench.attention import Grid
from wambench.contract import Orientation

COLOURS = "PuOr_r"  # diverging, told apart by all common kinds of colour vision (Brewer)
STRONGEST = 0.85  # opacity at the ends of the scale
SMALLEST_END = 2.0  # the scale never spans less than half to twice
LARGEST_END = 8.0
FINER = 8  # squares of a smoothed map along a square of its own

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]


def lifts(images: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Camera -> [rows, columns], attention over the mean of all image tokens."""
    mean = np.concatenate([weights.ravel() for weights in images.values()]).mean() or 1.0
    return {camera: weights / mean for camera, weights in images.items()}


def scale_end(drawn: Sequence[Floats]) -> float:
    """The end of the one scale of some maps: what 99 % of their tokens stay within."""
    values = np.concatenate([one.ravel() for one in drawn])
    folds = np.maximum(values, 1 / np.maximum(values, 1e-9))
    return float(np.clip(np.quantile(folds, 0.99), SMALLEST_END, LARGEST_END))


def smoothed(lift: Floats, grid: Grid) -> tuple[Floats, Grid]:
    """The map between the middles of its squares, on a finer grid: linear in the logarithm.

    For the eye alone; scores are of squares.
    """
    from scipy.ndimage import zoom

    between = zoom(np.log(np.maximum(lift, 1e-9)), FINER, order=1, mode="nearest", grid_mode=True)
    return np.exp(between), grid._replace(rows=grid.rows * FINER, columns=grid.columns * FINER)


def overlay(
    picture: Picture,
    lift: Floats,
    grid: Grid,
    end: float,
    orientation: Orientation,
    *,
    smooth: bool = False,
) -> Picture:
    """A picture [S, S, 3] under a map.

    Args:
        picture: upright.
        lift: [rows, columns] of the camera's grid.
        grid: where the tokens lie on the image.
        end: the scale runs from ``1 / end`` to ``end``.
        orientation: in which the policy saw the image.
        smooth: :func:`smoothed` first; else every square has one colour.
    """
    if smooth:
        lift, grid = smoothed(lift, grid)
    import matplotlib as mpl

    there = maps.painted(lift, grid, picture.shape[0], orientation)
    level = np.log(np.clip(np.nan_to_num(there, nan=1.0), 1 / end, end)) / np.log(end)  # -1..1
    colour = mpl.colormaps[COLOURS]((level + 1) / 2)[..., :3]
    alpha = (STRONGEST * np.abs(level))[..., None]
    return (255 * ((1 - alpha) * (picture / 255) + alpha * colour)).round().astype(np.uint8)
