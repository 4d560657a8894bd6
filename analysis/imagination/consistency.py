"""Does an imagination change as it should when the action does?

A policy is asked several times at the same moment, each time with other noise. Every answer has its
chunk, what that chunk shows when it is executed, and what was imagined with it. Between answers,
imagined frames should differ as executed ones do. What the codec loses is the same in all of them
and does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.imagination.places import EPISODE
from analysis.statistics.clusters import Floats, means_of_clusters, ratios_of_clusters
from analysis.statistics.intervals import CONFIDENCE
from wambench.cells import digest_of
from wambench.contract import Observation

CONSISTENCY, RESPONSE = "consistency", "response"
OWN, SHUFFLED = "imagined", "shuffled"
HEADS = (CONSISTENCY, SHUFFLED, RESPONSE)
WHERE = ["policy", "offset", "camera"]
SHUFFLES = 1000


def redrawn(seen: Observation, draw: int) -> Observation:
    """The same moment with other noise for the policy; draw 0 is the episode's own."""
    if draw == 0:
        return seen
    return replace(seen, noise_seed=int(digest_of(["draw", seen.noise_seed, draw])[:16], 16) >> 1)


def consistency(
    imagined: NDArray[np.uint8], executed: NDArray[np.uint8]
) -> Iterator[dict[str, Any]]:
    """A row per camera and frame in which the executed draws differ.

    ``pairing`` [K, K]: inner products of what is particular to each imagination with what is
    particular to each execution, over all pixels, so that its trace is their correlation: 1 where
    one is a multiple of the other, 0 on average where draws are paired at random. ``covered`` by
    ``varied`` is how far an imagination goes with the truth: 1 as far, 0 not at all.

    Args:
        imagined: [K, cameras, T, H, W, 3], one for each draw.
        executed: the same of what the draws' chunks show.
    """
    for camera, frame in np.ndindex(*imagined.shape[1:3]):
        own, true = (_particular(part[:, camera, frame]) for part in (imagined, executed))
        sizes = np.linalg.norm(own), np.linalg.norm(true)
        if sizes[1] > 0:
            shared = own @ true.T
            # An imagination that stays the same although the action does not follows nothing.
            yield {
                "camera_index": camera,
                "frame": frame,
                "pairing": shared / (sizes[0] * sizes[1]) if sizes[0] else np.zeros_like(shared),
                "covered": float(np.trace(shared)),
                "varied": float(sizes[1] ** 2),
            }


def _particular(frames: NDArray[np.uint8]) -> Floats:
    """Each draw less the mean of all: [K, pixels]."""
    flat = frames.reshape(len(frames), -1).astype(np.float64)
    return flat - flat.mean(axis=0)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Consistency and response of each policy, camera and offset, with 95 % intervals.

    ``shuffled`` is the null: the mean and the middle 95 % of ``SHUFFLES`` random pairings within
    every moment. What is imagined follows the action where its consistency is above ``high``.

    Args:
        rows: of :func:`consistency`, each with its place.

    Returns:
        Columns as of :func:`analysis.imagination.summary.summary`.
    """
    out = [
        dict(zip(WHERE, where, strict=True)) | told
        for where, part in (rows.groupby(WHERE) if len(rows) else ())
        for told in _told(part)
    ]
    return pd.DataFrame(out).assign(truth="executed", region="all") if out else pd.DataFrame()


def _told(part: pd.DataFrame) -> Iterator[dict[str, Any]]:
    pairings = np.stack(part["pairing"].to_list())
    draws = pairings.shape[1]
    random = np.random.default_rng(0)
    orders = random.permuted(np.tile(np.arange(draws), (SHUFFLES, len(part), 1)), axis=2)
    shuffled = pairings[np.arange(len(part))[:, None], np.arange(draws), orders].sum(axis=2)
    values = pd.DataFrame(
        np.column_stack([np.trace(pairings, axis1=1, axis2=2), shuffled.T]),
        index=pd.MultiIndex.from_frame(part[EPISODE]),
    )
    by_episode = values.groupby(EPISODE).mean().to_numpy()
    sums = part.groupby(EPISODE)[["covered", "varied"]].sum().to_numpy()
    null = by_episode[:, 1:].mean(axis=0)
    tail = (1 - CONFIDENCE) / 2
    ends = tuple(np.quantile(null, [tail, 1 - tail]))
    own = [x.item() for x in means_of_clusters(by_episode[:, :1])]
    response = [x.item() for x in ratios_of_clusters(sums[:, :1], sums[:, 1:])]
    for name, measure, (mean, low, high) in (
        (OWN, CONSISTENCY, own),
        (SHUFFLED, CONSISTENCY, (float(null.mean()), *ends)),
        (OWN, RESPONSE, response),
    ):
        yield {
            "prediction": name, "measure": measure, "mean": mean, "low": low, "high": high,
            "episodes": len(by_episode),
        }  # fmt: skip


def found_at(means: pd.DataFrame, offset: int, camera: str) -> pd.DataFrame:
    """Each policy's consistency, its null and its response at one offset of one camera.

    ``head`` says which of :data:`HEADS` a row is.
    """
    chosen = means[means["measure"].isin([CONSISTENCY, RESPONSE])]
    chosen = chosen[(chosen["offset"] == offset) & (chosen["camera"] == camera)]
    null = chosen["prediction"] == SHUFFLED
    return chosen.assign(head=chosen["measure"].where(~null, SHUFFLED))


def headline(means: pd.DataFrame, offset: int, camera: str) -> list[dict[str, str]]:
    """:func:`found_at` as text, a row for each policy."""
    out: dict[str, dict[str, str]] = {}
    for row in found_at(means, offset, camera).to_dict("records"):
        ends = f" ({row['low']:.2f} to {row['high']:.2f})" if row["low"] == row["low"] else ""
        cells = out.setdefault(row["policy"], {"policy": row["policy"]})
        cells[row["head"]] = f"{row['mean']:.2f}{ends}"
    return list(out.values())
