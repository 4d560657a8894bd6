"""Statistics of one episode, as ``meta/episodes_stats.jsonl`` keeps them.

Each feature has min, max, mean, (population) std and the number of rows. LeRobot makes the
statistics of a data set out of those of its episodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = np.arange(256)  # of a channel


def of_numbers(values: NDArray) -> dict[str, list[Any]]:
    """Of a column [T] or [T, n]; lists of one or n numbers."""
    rows = values.reshape(len(values), -1)
    exact = rows.astype(np.float64)
    return {
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
        "mean": exact.mean(axis=0).tolist(),
        "std": exact.std(axis=0).tolist(),
        "count": [len(rows)],
    }


class OfPictures:
    """Of a camera's frames, as they were before compression; values are shares of 255."""

    def __init__(self) -> None:
        self._pixels = np.zeros((3, len(LEVELS)), np.int64)  # of each channel and level
        self._frames = 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Count a frame uint8 [H, W, 3]."""
        for channel, pixels in enumerate(self._pixels):
            pixels += np.bincount(frame[..., channel].ravel(), minlength=len(LEVELS))
        self._frames += 1

    def result(self) -> dict[str, list[Any]]:
        """Nested lists [3, 1, 1], and the number of frames."""
        shares = self._pixels / self._pixels.sum(axis=1, keepdims=True)
        mean = shares @ LEVELS
        variance = (shares * (LEVELS - mean[:, None]) ** 2).sum(axis=1)
        seen = [LEVELS[pixels > 0] for pixels in self._pixels]
        of_channels = {
            "min": np.array([levels[0] for levels in seen]),
            "max": np.array([levels[-1] for levels in seen]),
            "mean": mean,
            "std": np.sqrt(variance),
        }
        out = {name: (v / 255).reshape(3, 1, 1).tolist() for name, v in of_channels.items()}
        return out | {"count": [self._frames]}
