"""What a study of imagination leaves in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.imagination.moments import Moment

ROWS, SUMMARY, FUTURES, MANIFEST = "rows.csv", "summary.csv", "futures.npz", "manifest.json"
DRAWN, MOVED = "consistency.csv", "displacement.csv"
DIGITS = 6


def write(out: Path, tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> None:
    """Write tables (name of a file -> rows), those that have rows, and what they were made of."""
    for name, table in tables.items():
        if "pairing" in table:
            traces = table["pairing"].map(np.trace)
            table = table.assign(consistency=traces).drop(columns="pairing")
        if len(table):
            table.to_csv(out / name, index=False, float_format=f"%.{DIGITS}g")
    (out / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def write_futures(path: Path, moments: Sequence[Moment], offsets: Sequence[int]) -> None:
    """What the episodes went on to show after their moments, for option ``futures`` of a policy.

    ``frames`` uint8 [N, T, cameras, H, W, 3] as a policy sees them, ``offsets`` [T], ``cameras``
    and, per moment: ``step``, ``episode`` (a number) and ``instruction``.
    """
    keys = list(dict.fromkeys(moment.episode.cell.key for moment in moments))
    np.savez_compressed(
        path,
        frames=np.stack([moment.stored.swapaxes(0, 1) for moment in moments]),
        offsets=np.array(offsets),
        cameras=np.array(list(moments[0].seen.images)),
        step=np.array([moment.step for moment in moments]),
        episode=np.array([keys.index(moment.episode.cell.key) for moment in moments]),
        instruction=np.array([moment.seen.instruction for moment in moments]),
    )
