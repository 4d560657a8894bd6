"""What a policy read at a moment of its own, over where things were: all that scores need.

Pictures are large and runs are long: a look keeps, for every token, how many pixels it covers and
how many of them show what, so that any map over the same tokens can be scored later, with some
tokens left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.attention import maps
from analysis.attention.regions import REGIONS, region
from analysis.attention.scenes import Moment
from analysis.attention.scores import score_levels
from analysis.attention.study import BOTH
from wambench.attention import Grid
from wambench.contract import Orientation

Floats = NDArray[np.float64]
Token = tuple[str, int, int]
"""Camera, row, column."""
PICTURE = "picture"  # the region of a score that knows of no region: the map's entropy
DISTANCE = "distance"  # from the peak to the object's middle, pixels


@dataclass(frozen=True)
class Ground:
    """One camera's picture as its tokens cut it. The last of ``pixels`` are under no token.

    Attributes:
        pixels: [R * C + 1], how many each covers.
        inside: region -> [R * C + 1], how many of them lie in it; what is not to be seen is absent.
        middles: [R * C, 2], row and column of each token's middle on the upright picture, pixels.
        object: row and column of the middle of the object's mask; None: not to be seen.
    """

    pixels: Floats
    inside: Mapping[str, Floats]
    middles: Floats
    object: Floats | None


@dataclass(frozen=True)
class Look:
    """One moment.

    Attributes:
        place: the columns that say whose it is, and of when; see :func:`study.about`.
        outcome: of its episode.
        before: whether it is before the first attempt at a grasp; None: not known.
        weights: camera -> [R, C], attention on each image token, all cameras on one scale.
        ground: camera -> what lies under them.
    """

    place: Mapping[str, Any]
    outcome: str
    before: bool | None
    weights: Mapping[str, Floats]
    ground: Mapping[str, Ground]


def ground(moment: Moment, grids: Mapping[str, Grid], turned: Orientation) -> Mapping[str, Ground]:
    """Count the pixels of every region under every token."""
    return {camera: _ground(moment, camera, grid, turned) for camera, grid in grids.items()}


def _ground(moment: Moment, camera: str, grid: Grid, turned: Orientation) -> Ground:
    size, count = len(moment.pictures[camera]), grid.rows * grid.columns
    number = np.arange(count).reshape(grid[:2])
    token_of = np.nan_to_num(maps.painted(number, grid, size, turned), nan=count).astype(int)
    inside = {}
    for name in REGIONS:
        mask = region(moment, name, camera)
        if 0 < mask.mean() < 1:
            inside[name] = np.bincount(token_of[mask], minlength=count + 1).astype(float)
    pixels = np.bincount(token_of.ravel(), minlength=count + 1).astype(float)
    rows, columns = np.indices((size, size)) + 0.5
    sums = [np.bincount(token_of.ravel(), at.ravel(), count + 1) for at in (rows, columns)]
    middles = (np.stack(sums, axis=1) / np.maximum(pixels, 1)[:, None])[:count]
    mask = region(moment, "object", camera)
    there = np.array([rows[mask].mean(), columns[mask].mean()]) if mask.any() else None
    return Ground(pixels, inside, middles, there)


def scored(
    ground: Mapping[str, Ground], weights: Mapping[str, Floats], without: Collection[Token] = ()
) -> Iterator[dict[str, Any]]:
    """Score a map against every region, on each camera and on all of them together.

    Args:
        ground: camera -> what lies under the tokens.
        weights: camera -> [R, C] >= 0, of the whole token.
        without: tokens that are left out, they and the pixels under them.

    Yields:
        ``camera``, ``region``, ``area`` and the measures of :mod:`analysis.attention.scores`. The
        row of ``object`` on a single camera has ``distance``. The row of the region ``picture`` has
        ``entropy`` alone.
    """
    levels, kept = {}, {}
    for camera, under in ground.items():
        stays = np.ones(weights[camera].shape, bool)
        for name, *at in without:
            if name == camera:
                stays[tuple(at)] = False
        # What is under no token stays; a token that covers no pixel has no place in a picture.
        kept[camera] = np.append(stays.ravel(), True) & (under.pixels > 0)
        spread = np.append(weights[camera].ravel(), 0.0) / np.maximum(under.pixels, 1)
        levels[camera] = np.where(kept[camera], spread, 0.0)
    views = {camera: [camera] for camera in ground}
    if len(ground) > 1:
        views[BOTH] = list(ground)
    for view, cameras in views.items():
        d = np.concatenate([levels[c][kept[c]] for c in cameras])
        pixels = np.concatenate([ground[c].pixels[kept[c]] for c in cameras])
        if not (d * pixels).sum() > 0:
            continue
        yield {"camera": view, "region": PICTURE, "entropy": _entropy(d, pixels)}
        for name in REGIONS:
            inside = np.concatenate([_inside(ground[c], name)[kept[c]] for c in cameras])
            if 0 < inside.sum() < pixels.sum():
                area = float(inside.sum() / pixels.sum())
                row = {"camera": view, "region": name, "area": area}
                measures = asdict(score_levels(d, inside, pixels - inside))
                if name == "object" and len(cameras) == 1:
                    measures[DISTANCE] = _distance(ground[view], levels[view][:-1])
                yield row | measures


def _inside(under: Ground, name: str) -> Floats:
    return under.inside.get(name, np.zeros_like(under.pixels))


def _entropy(density: Floats, pixels: Floats) -> float:
    """Of the map over that of a uniform one; 1 says that it is even."""
    p = density / (density * pixels).sum()
    log = np.log(p, out=np.zeros_like(p), where=p > 0)
    return float(-(pixels * p * log).sum() / np.log(pixels.sum()))


def _distance(under: Ground, density: Floats) -> float:
    """Pixels from the map's peak to the middle of the object; of several peaks the mean."""
    if under.object is None:
        return float("nan")
    peaks = under.middles[density == density.max()]
    return float(np.linalg.norm(peaks - under.object, axis=1).mean())
