"""Random shifts: the picture moves by a few pixels, its edge repeats."""

from __future__ import annotations

import torch
from torch import Tensor


def shifted(frames: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Move every camera's frames of every sample by one random offset.

    Args:
        frames: [B, N, cameras, 3, h, w]; the N frames of a camera move together.
        most: pixels, in either direction.
        generator: on the CPU.

    Returns:
        A tensor of the same shape.
    """
    if not most:
        return frames
    size, _, cameras, _, height, width = frames.shape
    offsets = torch.randint(-most, most + 1, (size, cameras, 2), generator=generator).tolist()
    rows, columns = torch.arange(height), torch.arange(width)
    out = torch.empty_like(frames)
    for sample in range(size):
        for camera in range(cameras):
            down, right = offsets[sample][camera]
            row = (rows + down).clamp(0, height - 1)
            column = (columns + right).clamp(0, width - 1)
            moved = frames[sample, :, camera].index_select(-2, row).index_select(-1, column)
            out[sample, :, camera] = moved
    return out
