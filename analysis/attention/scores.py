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
from scipy.stats import rankdata

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
    count, area = int(inside.sum()), float(inside.mean())
    if not 0 < count < inside.size:
        what = "empty" if count == 0 else "the whole picture"
        raise UserError(f"the region is {what}; nothing can be scored against it")
    if not np.isfinite(d).all() or d.min() < 0 or d.sum() == 0:
        raise UserError("the map is not finite, negative, or zero everywhere; it cannot be scored")
    p = d / d.sum()
    mass = float(p[inside].sum())
    peak = d == d.max()
    ranks = rankdata(d)
    wins = ranks[inside].sum() - count * (count + 1) / 2
    spread = float(p.std())
    hits = _hits(d, inside, count)
    positive = p[p > 0]
    return Scores(
        mass=mass,
        lift=mass / area,
        pointing=float(inside[peak].mean()),
        auroc=float(wins / (count * (inside.size - count))),
        nss=float((p[inside].mean() - p.mean()) / spread) if spread else 0.0,
        iou=hits / (2 * count - hits),
        entropy=float(-(positive * np.log(positive)).sum() / np.log(p.size)),
    )


def chance(area: float) -> Mapping[str, float]:
    """What a map that knows nothing scores on average, for a region of this share of the area."""
    return {
        "mass": area, "lift": 1.0, "pointing": area, "auroc": 0.5, "nss": 0.0,
        "iou": area / (2 - area),
    }  # fmt: skip


def _hits(d: NDArray[np.float64], inside: NDArray[np.bool_], count: int) -> float:
    """How many of the ``count`` highest pixels lie inside; ties at the border take their share."""
    border = np.partition(d, -count)[-count]
    above, level = d > border, d == border
    share = (count - above.sum()) / level.sum()
    return float(inside[above].sum() + share * inside[level].sum())
