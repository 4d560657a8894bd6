"""How near one future is to another, frame by frame, as a whole and where it matters.

PSNR and SSIM (Wang et al. 2004, IEEE TIP 13:600-612, a window of 7 pixels, scikit-image) are the
literature's; the error is the mean absolute difference of 0 to 255. In a region, all three are of
its pixels alone: SSIM is the mean of its map there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from analysis.attention.scenes import changed
from analysis.imagination.moments import Shown

Frame = NDArray[np.uint8]
MEASURES = ("psnr", "ssim", "error")
ROUNDING = 1 / 12  # of 255 squared: what rounding alone costs, so that PSNR is finite
SMALLEST = 4  # pixels of a region that is scored


def scores(
    predicted: NDArray[np.uint8], truth: Shown, present: NDArray[np.uint8]
) -> Iterator[dict[str, Any]]:
    """A row per camera, frame and region that can be seen there.

    Args:
        predicted: [cameras, T, H, W, 3].
        truth: what was to be seen.
        present: [cameras, H, W, 3]; ``change`` is where the true frame differs visibly from it.
    """
    for camera, frame in np.ndindex(*predicted.shape[:2]):
        true = truth.frames[camera, frame]
        regions = {"all": np.ones(true.shape[:2], bool), "change": changed(present[camera], true)}
        regions |= {role: masks[camera, frame] for role, masks in truth.roles.items()}
        for row in compared(predicted[camera, frame], true, regions):
            yield {"camera_index": camera, "frame": frame} | row


def compared(
    predicted: Frame, true: Frame, regions: Mapping[str, NDArray[np.bool_]]
) -> Iterator[dict[str, Any]]:
    """A row per region [H, W] of at least ``SMALLEST`` pixels: its area and the measures."""
    gap = predicted.astype(np.float64) - true
    _, similar = structural_similarity(true, predicted, channel_axis=2, data_range=255, full=True)
    for name, region in regions.items():
        if region.sum() >= SMALLEST:
            squared = max(float((gap[region] ** 2).mean()), ROUNDING)
            yield {
                "region": name,
                "area": float(region.mean()),
                "psnr": float(10 * np.log10(255**2 / squared)),
                "ssim": float(similar[region].mean()),
                "error": float(np.abs(gap[region]).mean()),
            }
