"""Make the table of fixed starts anew: ``python -m tasks.metaworld.make_starts`` (1 minute).

Upstream's own draw: ``metaworld.MT1(name, seed=42)``, the seed that lerobot takes too. Change it
only with a new version of the suites; the hash that is printed belongs into ``starts.py``.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tasks.metaworld.catalogue import NAMES
from tasks.metaworld.runtime import upstream
from tasks.metaworld.starts import FILE, hash_of

SEED = 42


def drawn(name: str) -> NDArray[np.float64]:
    """Draw the starts of one task, float64 [50, 3 or 6]."""
    tasks = upstream().MT1(name, seed=SEED).train_tasks
    return np.stack([pickle.loads(task.data)["rand_vec"] for task in tasks]).astype(np.float64)


def main() -> None:
    """Draw all, write the table and print its hash."""
    starts: Mapping[str, NDArray[np.float64]] = {name: drawn(name) for name in sorted(NAMES)}
    np.savez_compressed(FILE, allow_pickle=False, **starts)
    print(f"{FILE.name}: {len(starts)} tasks, {FILE.stat().st_size} bytes, hash {hash_of(starts)}")


if __name__ == "__main__":
    main()
