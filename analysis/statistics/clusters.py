"""How sure a mean over moments is, when moments of one episode are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import CONFIDENCE

Floats = NDArray[np.float64]
RESAMPLES = 10_000
MIN_CLUSTERS = 5
"""Fewer are no sample to resample: the interval would come out far too short."""
COLUMNS_AT_ONCE = 256  # bounds the memory of the resampled means


def means_of_clusters(
    values: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[Floats, Floats, Floats]:
    """Mean over clusters, with a percentile bootstrap interval that draws whole clusters.

    The clusters are drawn together for all columns, so that columns may be subtracted first and
    the interval is that of a paired difference (Field & Welsh 2007, JRSS-B 69:369-390).

    Args:
        values: [clusters, columns], the mean of each cluster; NaN where a cluster has none.
        confidence: share of the resampled means that lie inside.

    Returns:
        Means, lower and upper ends, each [columns]; ends are NaN for a column of fewer than
        ``MIN_CLUSTERS`` clusters.
    """
    x = np.asarray(values, np.float64)
    return ratios_of_clusters(x, np.ones_like(x), confidence)


def ratios_of_clusters(
    numerators: ArrayLike, denominators: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[Floats, Floats, Floats]:
    """Sum over clusters by sum over clusters, with an interval as of :func:`means_of_clusters`.

    Args:
        numerators: [clusters, columns]; NaN where a cluster has none, and is left out of both.
        denominators: the same.
        confidence: share of the resampled ratios that lie inside.

    Returns:
        Ratios, lower and upper ends, each [columns].
    """
    x, y = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    there = ~(np.isnan(x) | np.isnan(y))
    x, y = np.where(there, x, 0.0), np.where(there, y, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = x.sum(axis=0) / y.sum(axis=0)
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(x), np.full(len(x), 1 / len(x)), RESAMPLES).astype(np.float64)
    tail = (1 - confidence) / 2
    low, high = np.full_like(ratios, np.nan), np.full_like(ratios, np.nan)
    columns = np.flatnonzero(there.sum(axis=0) >= MIN_CLUSTERS)
    for start in range(0, columns.size, COLUMNS_AT_ONCE):
        part = columns[start : start + COLUMNS_AT_ONCE]
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = (drawn @ x[:, part]) / (drawn @ y[:, part])
        low[part], high[part] = np.nanquantile(resampled, [tail, 1 - tail], axis=0)
    return ratios, low, high
