"""Means of scores over episodes, and differences of policies at the same moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.attention.scores import MEASURES
from analysis.statistics.clusters import means_of_clusters

EPISODE = ["suite", "task_index", "init_state", "seed"]
MOMENT = [*EPISODE, "step"]
ARM = ["track", "paradigm", "policy", "control"]
WHAT = ["view", "camera", "region"]


def episode_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over the moments (and the draws of a control) of each episode.

    Returns:
        Rows: episodes. Columns: arm, view, camera, region and measure; NaN where a region was
        never to be seen.
    """
    by_episode: Any = scores.groupby([*EPISODE, *ARM, *WHAT])[list(MEASURES)].mean()
    by_episode.columns.name = "measure"
    return by_episode.stack().unstack([*ARM, *WHAT, "measure"])


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """Each arm's mean of every measure, with a 95 % interval over episodes.

    Returns:
        Columns: of the arm, of what was scored, ``measure``, ``mean``, ``low``, ``high``,
        ``episodes``, and ``area``, the region's mean share of the picture.
    """
    wide = episode_means(scores)
    out = _summary(wide)
    area = scores.groupby(WHAT)["area"].mean().rename("area").reset_index()
    return out.merge(area, on=WHAT, how="left")


def differences(scores: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """First minus second, per episode, with a 95 % interval over episodes.

    Args:
        scores: of all arms at the same moments.
        pairs: names of arms as :func:`arm_name` writes them.

    Returns:
        As :func:`means`, with ``first`` and ``second`` instead of the arm.
    """
    wide = episode_means(scores)
    columns: Any = wide.columns.to_flat_index()  # track, paradigm, policy, control, …
    names = {arm_name(*column[2:4]): column[:4] for column in columns}
    parts = []
    for first, second in pairs:
        gap: Any = wide[names[first]] - wide[names[second]]
        parts.append(_summary(gap).assign(first=first, second=second))
    return pd.concat(parts, ignore_index=True)


def blanking(moved: pd.DataFrame) -> pd.DataFrame:
    """How far the action moves where the most read tokens are blanked, and where random ones are.

    Args:
        moved: of :func:`analysis.attention.causal.moved`, of all policies.

    Returns:
        A row per policy, test, fraction and choice (``most read``, ``random`` and ``difference``,
        the first minus the second), with ``mean``, ``low``, ``high`` (95 %) and ``episodes``.
    """
    what = ["track", "paradigm", "policy", "test", "fraction"]
    by_episode: Any = moved.groupby([*EPISODE, *what, "choice"])["moved"].mean().unstack("choice")
    by_episode["difference"] = by_episode["most read"] - by_episode["random"]
    return _summary(by_episode.stack().unstack([*what, "choice"]))


def arm_name(policy: str, control: str) -> str:
    """What tables and figures call an arm."""
    return policy if control in ("", policy) else f"{policy}, {control}"


def _summary(wide: pd.DataFrame) -> pd.DataFrame:
    found, low, high = means_of_clusters(wide.to_numpy())
    out = wide.columns.to_frame(index=False)
    out["mean"], out["low"], out["high"] = found, low, high
    out["episodes"] = np.isfinite(wide.to_numpy()).sum(axis=0)
    return out[out["episodes"] > 0].reset_index(drop=True)
