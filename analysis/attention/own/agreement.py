"""Whether what is read is what matters: attention maps beside maps of effects.

The null moves one of the maps round its camera: as many places, the same values, the same shape,
in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.attention.compare import EPISODE
from analysis.attention.own.effects import Effect, spread, summed
from analysis.attention.study import BOTH
from analysis.statistics.clusters import means_of_clusters

DRAWS = 1_999
"""Shifts of the null of a rank correlation: p is a multiple of 1 / 1000."""
REGIONS = ("object", "goal")
ARM = ["track", "paradigm", "policy"]

Floats = NDArray[np.float64]
Shift = Mapping[str, tuple[int, int]]
"""Camera -> rows and columns that its map moves, round its edges."""


def table(effects: Sequence[Effect]) -> pd.DataFrame:
    """A row per moment and block: ``attention`` (its share of all image tokens) and ``moved``."""
    rows = []
    for one in effects:
        total = sum(float(w.sum()) for w in one.look.weights.values()) or 1.0
        for camera, moved in one.moved.items():
            read = summed(one.look.weights[camera]) / total
            for row, column in np.ndindex(moved.shape):
                rows.append(
                    {
                        **one.look.place,
                        "outcome": one.look.outcome,
                        "camera": camera,
                        "row": row,
                        "column": column,
                        "attention": float(read[row, column]),
                        "moved": float(moved[row, column]),
                    }
                )
    return pd.DataFrame(rows)


# ---- scores of both maps -------------------------------------------------------------------------


def scores(effects: Sequence[Effect]) -> pd.DataFrame:
    """Mass and lift of both maps on object and goal, each beside the same map moved elsewhere.

    The null of a moment is the mean over as many random shifts as there are blocks.

    Returns:
        A row per policy, camera, region, measure and map (``attention``, ``effect``): ``mean``,
        ``null`` and ``gap`` (the first minus the second within each episode) with ``low`` and
        ``high`` (95 % over episodes), and ``episodes``.
    """
    rows = []
    for number, one in enumerate(effects):
        random = np.random.default_rng(number)
        shapes = {camera: moved.shape for camera, moved in one.moved.items()}
        count = sum(int(np.prod(shape)) for shape in shapes.values())
        shifts = _shifts(shapes, count, random)
        both = {"attention": {c: summed(w) for c, w in one.look.weights.items()}}
        both["effect"] = dict(one.moved)
        for name, blocks in both.items():
            for where in _on_regions(one, blocks, shifts):
                rows.append({**one.look.place, "map": name, **where})
    what = [*ARM, "camera", "region", "measure", "map"]
    table = pd.DataFrame(rows, columns=[*what, *EPISODE, "value", "null"])
    by_episode: Any = table.groupby([*what, *EPISODE], sort=False)[["value", "null"]].mean()
    out = []
    for names, part in by_episode.groupby(level=what, sort=False):
        gap = (part["value"] - part["null"]).to_numpy()
        mean, low, high = (float(found[0]) for found in means_of_clusters(gap[:, None]))
        told = {"mean": part["value"].mean(), "null": part["null"].mean(), "gap": mean}
        told |= {"low": low, "high": high, "episodes": len(part)}
        out.append(dict(zip(what, names, strict=True)) | told)
    return pd.DataFrame(out, columns=[*what, "mean", "null", "gap", "low", "high", "episodes"])


def _on_regions(
    one: Effect, blocks: Mapping[str, Floats], shifts: Sequence[Shift]
) -> Iterator[dict[str, Any]]:
    """Mass and lift, and their means over the shifts."""
    ground = one.look.ground
    views = {camera: [camera] for camera in blocks}
    if len(blocks) > 1:
        views[BOTH] = list(blocks)
    for view, cameras in views.items():
        total = sum(float(blocks[c].sum()) for c in cameras)
        if not total > 0:
            continue
        for region in REGIONS:
            seen = [c for c in cameras if region in ground[c].inside]
            if not seen:
                continue
            pixels = sum(float(ground[c].pixels.sum()) for c in cameras)
            area = sum(float(ground[c].inside[region].sum()) for c in seen) / pixels
            own = {c: blocks[c] for c in seen}
            value = _mass(one, own, region, dict.fromkeys(seen, (0, 0))) / total
            null = float(np.mean([_mass(one, own, region, shift) for shift in shifts])) / total
            about = {"camera": view, "region": region}
            yield about | {"measure": "mass", "value": value, "null": null}
            yield about | {"measure": "lift", "value": value / area, "null": null / area}


def _mass(one: Effect, blocks: Mapping[str, Floats], region: str, shift: Shift) -> float:
    """How much of a map of blocks lies in a region once it has been moved."""
    found = 0.0
    for camera, grid in blocks.items():
        under, weights = one.look.ground[camera], one.look.weights[camera]
        tokens = spread(np.roll(grid, shift[camera], axis=(0, 1)), weights.shape)
        share = under.inside[region][:-1] / np.maximum(under.pixels[:-1], 1)
        found += float(tokens.ravel() @ share)
    return found


# ---- rank correlation ----------------------------------------------------------------------------


def agreement(effects: Sequence[Effect], draws: int = DRAWS) -> pd.DataFrame:
    """Spearman's rank correlation of attention and effect over blocks.

    An episode's is the mean over its moments; moments in which a map is even have none. In the
    null the map of effects moves round each camera, for all moments of an episode alike.

    Returns:
        A row per policy and camera (and all of them): ``mean``, ``low``, ``high`` (95 % over
        episodes), ``null`` (its mean), ``p`` (one-sided: as high in the null), ``episodes``.
    """
    out = []
    own: dict[tuple[str, ...], list[Effect]] = {}
    for one in effects:
        own.setdefault(tuple(one.look.place[name] for name in ARM), []).append(one)
    for names, those in own.items():
        views = {camera: [camera] for camera in those[0].moved}
        if len(views) > 1:
            views[BOTH] = list(those[0].moved)
        for view, cameras in views.items():
            row = dict(zip(ARM, names, strict=True)) | {"camera": view}
            out.append(row | _correlated(those, cameras, draws))
    return pd.DataFrame(out)


def _correlated(effects: Sequence[Effect], cameras: Sequence[str], draws: int) -> dict[str, Any]:
    episodes: dict[tuple[Any, ...], list[Effect]] = {}
    for one in effects:
        episodes.setdefault(tuple(one.look.place[name] for name in EPISODE), []).append(one)
    found, null = [], np.zeros(draws)
    for number, those in enumerate(episodes.values()):
        shapes = {c: those[0].moved[c].shape for c in cameras}
        shifts = _shifts(shapes, draws, np.random.default_rng(number))
        order = _orders(shapes, shifts)  # [1 + draws, blocks]
        read = np.stack([_ranks([summed(one.look.weights[c]) for c in cameras]) for one in those])
        did = np.stack([_ranks([one.moved[c] for c in cameras]) for one in those])
        usable = (read.std(axis=1) > 0) & (did.std(axis=1) > 0)
        if not usable.any():
            continue
        read, did = _standard(read[usable]), _standard(did[usable])
        every = np.mean([d[order] @ r for r, d in zip(read, did, strict=True)], axis=0)
        found.append(float(every[0]))
        null += every[1:]
    if not found:
        nothing = dict.fromkeys(("mean", "low", "high", "null", "p"), np.nan)
        return nothing | {"episodes": 0}
    mean, low, high = (float(one[0]) for one in means_of_clusters(np.array(found)[:, None]))
    null /= len(found)
    beyond = min((null >= mean - 1e-9).sum(), (null <= mean + 1e-9).sum())
    return {
        "mean": mean, "low": low, "high": high, "null": float(null.mean()),
        "p": float(min(1.0, 2 * (1 + beyond) / (1 + draws))), "episodes": len(found),
    }  # fmt: skip


def _ranks(grids: Sequence[Floats]) -> Floats:
    return rankdata(np.concatenate([grid.ravel() for grid in grids]))


def _standard(ranks: Floats) -> Floats:
    """Rows whose products are correlations."""
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def _shifts(
    shapes: Mapping[str, tuple[int, ...]], count: int, random: np.random.Generator
) -> list[Shift]:
    """Random shifts; no camera stays where it is, if it has more than one block."""
    out: list[Shift] = []
    for _ in range(count):
        shift = {}
        for camera, (rows, columns) in shapes.items():
            way = int(random.integers(1, max(rows * columns, 2))) % (rows * columns)
            shift[camera] = (way // columns, way % columns)
        out.append(shift)
    return out


def _orders(shapes: Mapping[str, tuple[int, ...]], shifts: Sequence[Shift]) -> NDArray[np.intp]:
    """[1 + shifts, blocks], where each block's value comes from; the first row: nothing moves."""
    rows = []
    for shift in [dict.fromkeys(shapes, (0, 0)), *shifts]:
        parts, start = [], 0
        for camera, shape in shapes.items():
            size = int(np.prod(shape))
            number = start + np.arange(size).reshape(shape)
            parts.append(np.roll(number, shift[camera], axis=(0, 1)).ravel())
            start += size
        rows.append(np.concatenate(parts))
    return np.array(rows)
