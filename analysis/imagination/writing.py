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
DRAWN = "consistency.csv"
DIGITS = 6


def write(
    out: Path,
    rows: pd.DataFrame,
    drawn: pd.DataFrame,
    means: pd.DataFrame,
    manifest: Mapping[str, Any],
) -> None:
    """Write the tables and what they were made of; ``drawn``: where there were several draws."""
    rows.to_csv(out / ROWS, index=False, float_format=f"%.{DIGITS}g")
    if len(drawn):
        told = drawn.assign(consistency=drawn["pairing"].map(np.trace)).drop(columns="pairing")
        told.to_csv(out / DRAWN, index=False, float_format=f"%.{DIGITS}g")
    means.to_csv(out / SUMMARY, index=False, float_format=f"%.{DIGITS}g")
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
