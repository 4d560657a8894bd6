"""The score method for the difference of two paired success rates (Tango 1998).

It asks how far the counts are from what they would be if the difference were this or that, with the
variance under that assumption, and so keeps a width where no cell tells the two apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize.elementwise import find_root

BESIDE = 1e-12


def score(first: Any, second: Any, cells: Any, difference: Any) -> Any:
    """Standard normal deviate of "the rates differ by ``difference``", first minus second.

    Tango 1998, Statistics in Medicine 17:891-908. At 0 it is McNemar's.

    Args:
        first: cells that the first alone solved; need not be whole, [...].
        second: cells that the second alone solved, [...].
        cells: all of them, [...].
        difference: assumed, between -1 and 1, [...].

    Returns:
        [...]; infinite where the counts cannot be if the difference is as assumed.

    """
    apart, error = _apart(difference, first, second, cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(apart) < 1e-12, 0.0, apart / error)


def score_interval(first: Any, second: Any, cells: Any, z: Any) -> tuple[Any, Any]:
    """Differences whose score is ``z``, [...], at most: lowest and highest, [...] each."""
    z, *counts = np.broadcast_arrays(
        *(np.asarray(v, dtype=float) for v in (z, first, second, cells))
    )
    found = (counts[0] - counts[1]) / counts[2]

    def beyond(difference: Any, z: Any, *counts: Any) -> Any:
        apart, error = _apart(difference, *counts)
        return apart - z * error

    # Beside what was found: there ``beyond`` is 0 if no cell tells the two apart.
    low = find_root(beyond, (np.full_like(found, -1), found - BESIDE), args=(z, *counts)).x
    high = find_root(beyond, (found + BESIDE, np.full_like(found, 1)), args=(-z, *counts)).x
    return np.where(found <= -1, -1.0, low), np.where(found >= 1, 1.0, high)


def _apart(difference: Any, first: Any, second: Any, cells: Any) -> tuple[Any, Any]:
    """How far the counts are from a difference, and the standard deviation under it, in cells."""
    b = (2 * cells - first + second) * difference - first - second
    c = -second * difference * (1 - difference)
    # The most likely share of cells that the second alone solves, given the difference.
    share = (np.sqrt(np.maximum(b**2 - 8 * cells * c, 0)) - b) / (4 * cells)
    variance = cells * (2 * share + difference * (1 - difference))
    return first - second - cells * difference, np.sqrt(np.maximum(variance, 0))
