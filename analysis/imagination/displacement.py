"""How far the object moves in a predicted frame, by a tracker whose own error is known.

The tracker carries the object's pixels of the present frame, and a rim that holds its outline, over
the predicted frame and takes the shift at which their masked normalised correlation is highest
(Padfield 2012, IEEE TIP 21:2706-2718, scikit-image). True is how far the centroid of the object's
mask moves. Asked of the true frame, the tracker errs as far as turning, hiding and the mask's own
changes make it: no prediction can be seen to be better than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from skimage.color import rgb2gray
from skimage.registration import phase_cross_correlation

from analysis.imagination.moments import Shown
from analysis.imagination.places import EPISODE
from analysis.statistics.clusters import means_of_clusters

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]
MEASURE = "displacement"
OBJECT = "object"
TRACKER, COPY = "tracker", "copy"
"""What rows call the tracker's answer on the true frame, and that nothing moves."""
HEADS = (COPY, TRACKER, "imagined", "other", "untrained")
RIM = 2  # pixels around the mask: of one colour, an object is its outline
SMALLEST = 12  # pixels of a mask that is followed
MOVED = 2.0  # pixels: where less is true, a copy of the present is right, and nothing is asked
REACH = 32  # pixels to each side in which it is looked for
OVERLAP = 0.9  # of the object that stays in sight


def displacements(
    predicted: Mapping[str, NDArray[np.uint8]], truth: Shown, present: NDArray[np.uint8]
) -> Iterator[dict[str, Any]]:
    """A row per prediction, camera and frame in which the object truly moved.

    ``gap`` is how far from the true displacement the predicted one ends, in pixels; of ``copy``,
    in which nothing moves, that is the true displacement itself.

    Args:
        predicted: name -> [cameras, T, H, W, 3].
        truth: what was to be seen.
        present: [cameras, H, W, 3].
    """
    if OBJECT not in truth.before:
        return
    asked = {TRACKER: truth.frames, **predicted}
    for camera, frame in np.ndindex(*truth.frames.shape[:2]):
        before, after = truth.before[OBJECT][camera], truth.after[OBJECT][camera, frame]
        if min(before.sum(), after.sum()) < SMALLEST:
            continue
        moved = _centroid(after) - _centroid(before)
        if np.linalg.norm(moved) < MOVED:
            continue
        found = {
            name: tracked(present[camera], before, frames[camera, frame])
            for name, frames in asked.items()
        }
        for name, shift in {COPY: np.zeros(2), **found}.items():
            gap = float(np.linalg.norm(shift - moved))
            yield {"prediction": name, "camera_index": camera, "frame": frame, "gap": gap}


def tracked(present: Frame, mask: Mask, later: Frame) -> NDArray[np.float64]:
    """Rows and columns by which what the mask [H, W] holds of a frame has moved in a later one."""
    rim = binary_dilation(mask, iterations=RIM)
    places = np.argwhere(rim)
    first, last = np.maximum(places.min(axis=0) - REACH, 0), places.max(axis=0) + REACH + 1
    window = np.s_[first[0] : last[0], first[1] : last[1]]
    shift, _, _ = phase_cross_correlation(
        rgb2gray(present[window]),
        rgb2gray(later[window]),
        reference_mask=rim[window],
        moving_mask=np.ones_like(rim[window]),
        overlap_ratio=OVERLAP,
    )
    return -np.asarray(shift, np.float64)  # of the frame back onto the object


def _centroid(mask: Mask) -> NDArray[np.float64]:
    return np.argwhere(mask).mean(axis=0)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean gap of each prediction in pixels, with 95 % intervals over whole episodes.

    Args:
        rows: of :func:`displacements`, each with its place.

    Returns:
        Columns as of :func:`analysis.imagination.summary.summary`; empty where nothing moved.
    """
    if not len(rows):
        return pd.DataFrame()
    what = ["policy", "prediction", "offset", "camera"]
    wide: Any = rows.groupby([*EPISODE, *what])["gap"].mean().unstack(what)
    out = wide.columns.to_frame(index=False)
    out["mean"], out["low"], out["high"] = means_of_clusters(wide.to_numpy())
    out["episodes"] = wide.notna().sum().to_numpy()
    return out.assign(truth="executed", region=OBJECT, measure=MEASURE)


def found_at(means: pd.DataFrame, offset: int, camera: str) -> pd.DataFrame:
    """Each policy's gaps in pixels at one offset of one camera.

    ``head`` says which of :data:`HEADS` a row is.
    """
    place = (means["offset"] == offset) & (means["camera"] == camera)
    chosen = means[(means["measure"] == MEASURE) & place]
    return chosen.assign(head=chosen["prediction"])


def headline(means: pd.DataFrame, offset: int, camera: str) -> list[dict[str, str]]:
    """:func:`found_at` as text, a row for each policy."""
    out: dict[str, dict[str, str]] = {}
    for row in found_at(means, offset, camera).to_dict("records"):
        ends = f" ({row['low']:.1f} to {row['high']:.1f})" if row["low"] == row["low"] else ""
        cells = out.setdefault(row["policy"], dict.fromkeys(HEADS, "-") | {"policy": row["policy"]})
        cells[row["head"]] = f"{row['mean']:.1f}{ends}"
    return list(out.values())


def blind(means: pd.DataFrame, offset: int, camera: str) -> list[str]:
    """Policies at whose moments the tracker errs by half of what the object moves, or more."""
    chosen = found_at(means, offset, camera)
    by: Any = chosen.set_index(["policy", "prediction"])["mean"]
    labels = chosen["policy"].unique()
    return [label for label in labels if by[label, TRACKER] >= by[label, COPY] / 2]
