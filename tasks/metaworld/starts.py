"""The 50 fixed starts of each task: what upstream calls tasks, vectors of object and goal places.

Upstream draws them anew whenever a benchmark is made, over a second for each environment; here
they are a table, made by ``tasks.metaworld.make_starts`` and told apart by its hash.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wambench.errors import UserError

FILE = Path(__file__).parent / "starts.npz"
HASH = "29f6353d8e9e8fe8b7abfc3fe2548696"
"""Of the table that results are comparable for; see :func:`hash_of`."""


@functools.cache
def table() -> Mapping[str, NDArray[np.float64]]:
    """Task -> float64 [50, 3 or 6]: metres, what ``reset`` places the object and the goal by.

    Raises UserError for another table than the one that belongs here.
    """
    with np.load(FILE) as file:
        found = {name: file[name] for name in file.files}
    if hash_of(found) != HASH:
        raise UserError(f"{FILE.name} is not wambench's table of MetaWorld starts; reinstall it")
    return found


def hash_of(starts: Mapping[str, NDArray[np.float64]]) -> str:
    """128-bit BLAKE2 of names and vectors, in order of the names."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(starts):
        digest.update(name.encode() + starts[name].tobytes())
    return digest.hexdigest()
