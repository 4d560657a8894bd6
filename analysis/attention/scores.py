"""How well a map points at a region: the measures of saliency research, with their chance levels.

All work on pixels, a map and a region of one picture (or of several, laid end to end). A map whose
pixels are alike within a token has ties; they are resolved in expectation, so that no measure
depends on an order of pixels that means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wambench.errors import UserError


@dataclass(frozen=True)
class Scores:
    """One map against one region.

    Attributes:
        mass: share of the map inside the region. Chance: the region's share of the area.
        lift: ``mass`` over the region's share of the area, so that regions of all sizes compare
            (density ratio). Chance: 1.
        pointing: whether the map's maximum lies in the region, the pointing game of Zhang et al.
            (2016, arXiv:1608.00507) without a tolerance; with ties the share of maxima that do.
            Chance: as ``mass``.
        auroc: probability that a pixel of the region has more than one outside (half for ties);
            "AUC-Borji without sampling" in Bylinskii et al. (2019, TPAMI 41:740). Chance: 0.5.
        nss: normalised scanpath saliency, mean z-score of the region's pixels (Peters et al. 2005,
            Vision Research 45:2397). Chance: 0.
        iou: of the region and the map's highest pixels, as many as the region has. Chance:
            a / (2 - a) for a region of share a.
        entropy: of the map, over that of a uniform one, 0 to 1. It knows nothing of the region.
    """

    mass: float
    lift: float
    pointing: float
    auroc: float
    nss: float
    iou: float
    entropy: float


MEASURES = tuple(field.name for field in fields(Scores))


def score(density: ArrayLike, region: ArrayLike) -> Scores:
    """Score a map against a region.

    Args:
        density: [...] >= 0, of any scale.
        region: [...] bool, the same shape.

    Raises:
        UserError: a region that is empty or the whole picture, a map that is nowhere above zero,
            negative or not finite.
    """
    d = np.asarray(density, np.float64).ravel()
    inside = np.asarray(region, bool).ravel()
    if d.shape != inside.shape:
        raise ValueError(f"a map of {d.size} pixels and a region of {inside.size}")
    levels, level_of = np.unique(d, return_inverse=True)
    counted = np.bincount(level_of, minlength=levels.size)
    within = np.bincount(level_of[inside], minlength=levels.size)
    return score_levels(levels, within, counted - within)


def score_levels(density: ArrayLike, inside: ArrayLike, outside: ArrayLike) -> Scores:
    """Score a map that is constant on parts of the picture, such as tokens; see :func:`score`.

    Args:
        density: [n], weight of a pixel in each part.
        inside: [n], pixels of the part in the region.
        outside: [n], its other pixels.
    """
    d, a, b = (np.asarray(x, np.float64) for x in (density, inside, outside))
    if a.sum() == 0 or b.sum() == 0:
        what = "empty" if a.sum() == 0 else "the whole picture"
        raise UserError(f"the region is {what}; nothing can be scored against it")
    n = a + b
    if not np.isfinite(d).all() or d.min() < 0 or (d * n).sum() == 0:
        raise UserError("the map is not finite, negative, or zero everywhere; it cannot be scored")
    p = d / (d * n).sum()  # of a pixel
    area, mass = a.sum() / n.sum(), float((p * a).sum())
    peak = d == d.max()
    levels, level_of = np.unique(d, return_inverse=True)
    within, without = (np.bincount(level_of, x, levels.size).astype(float) for x in (a, b))
    below = np.cumsum(without) - without
    mean = 1 / n.sum()
    spread = float(np.sqrt((n * (p - mean) ** 2).sum() / n.sum()))
    hits = _hits(within, without, a.sum())
    log = np.log(p, out=np.zeros_like(p), where=p > 0)
    return Scores(
        mass=mass,
        lift=float(mass / area),
        pointing=float(a[peak].sum() / n[peak].sum()),
        auroc=float((within * (below + without / 2)).sum() / (a.sum() * b.sum())),
        nss=float((mass / a.sum() - mean) / spread) if spread > 1e-12 * mean else 0.0,
        iou=float(hits / (2 * a.sum() - hits)),
        entropy=float(-(n * p * log).sum() / np.log(n.sum())),
    )


def chance(area: float) -> Mapping[str, float]:
    """What a map that knows nothing scores on average, for a region of this share of the area."""
    return {
        "mass": area, "lift": 1.0, "pointing": area, "auroc": 0.5, "nss": 0.0,
        "iou": area / (2 - area),
    }  # fmt: skip


def _hits(within: NDArray[np.float64], without: NDArray[np.float64], count: float) -> float:
    """How many of the ``count`` highest pixels lie inside; the last level gives its share.

    Args:
        within: pixels of the region at each level, lowest level first.
        without: other pixels at each level.
        count: how many are taken.
    """
    size = (within + without)[::-1]
    before = np.cumsum(size) - size
    taken = np.clip((count - before) / size, 0, 1)
    return float((taken * within[::-1]).sum())
