"""Means over episodes: how good an imagination is, and how much better than copying."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.imagination.places import EPISODE, WHAT
from analysis.imagination.scoring import MEASURES
from analysis.statistics.clusters import Floats, means_of_clusters, ratios_of_clusters


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Each prediction's means with 95 % intervals over episodes, whole ones drawn again.

    ``skill`` is 1 - its mean error / that of ``copy``, over the same moments: 1 is the truth, 0
    what expects nothing to change, and less is worse than that.

    Args:
        rows: of :func:`analysis.imagination.study.study`, of any policies.

    Returns:
        Columns: ``WHAT``, ``measure`` (psnr in dB, ssim, error of 0 to 255, skill), ``mean``,
        ``low``, ``high`` (NaN below five episodes) and ``episodes``.
    """
    by_episode: Any = rows.groupby([*EPISODE, *WHAT])[list(MEASURES)].mean()
    by_episode.columns.name = "measure"
    wide = by_episode.stack().unstack([*WHAT, "measure"])
    errors = by_episode["error"].unstack("prediction")
    copied: Any = pd.concat(dict.fromkeys(errors, errors["copy"]), names=["prediction"])
    copied = copied.reorder_levels(by_episode.index.names).reindex(by_episode.index)
    own, copied = (part.unstack(WHAT) for part in (by_episode["error"], copied))
    ratio, high, low = ratios_of_clusters(own.to_numpy(), copied.to_numpy())  # 1 - x turns ends
    return pd.concat(
        [
            _table(wide.columns, wide.to_numpy(), means_of_clusters(wide.to_numpy())),
            _table(own.columns, own.to_numpy(), (1 - ratio, 1 - low, 1 - high), "skill"),
        ],
        ignore_index=True,
    )


def _table(
    columns: pd.Index, values: Floats, found: tuple[Floats, Floats, Floats], measure: str = ""
) -> pd.DataFrame:
    out = columns.to_frame(index=False)
    if measure:
        out["measure"] = measure
    out["mean"], out["low"], out["high"] = found
    out["episodes"] = np.isfinite(values).sum(axis=0)
    return out[out["episodes"] > 0]


def headline(means: pd.DataFrame, offset: int, camera: str) -> list[dict[str, str]]:
    """Skill of every prediction at one offset of one camera as text, a column per region."""
    chosen = means[means["measure"] == "skill"]
    chosen = chosen[(chosen["offset"] == offset) & (chosen["camera"] == camera)]
    out: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in chosen.to_dict("records"):
        key = (row["policy"], row["truth"], row["prediction"])
        cells = out.setdefault(key, dict(zip(("policy", "truth", "prediction"), key, strict=True)))
        low, high = row["low"], row["high"]
        interval = f" ({low:.2f} to {high:.2f})" if low == low else ""
        cells[row["region"]] = f"{row['mean']:.2f}{interval}"
    return list(out.values())
