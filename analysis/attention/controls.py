"""Maps that know nothing, and the one that knows all: what any map must be held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPREAD = 0.25  # standard deviation of the centre prior, in sides of the picture

Floats = NDArray[np.float64]


def uniform(size: int) -> Floats:
    """Everything alike, [size, size]."""
    return np.full((size, size), 1 / size**2)


def centre_prior(size: int) -> Floats:
    """A Gaussian in the middle of the picture, [size, size].

    Pictures have what matters in the middle, so a map that says no more than "the middle" scores
    above chance (Bylinskii et al. 2019, TPAMI 41:740).
    """
    place = (np.arange(size) + 0.5) / size - 0.5
    line = np.exp(-0.5 * (place / SPREAD) ** 2)
    out = np.outer(line, line)
    return out / out.sum()
