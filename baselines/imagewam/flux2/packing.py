"""Where FLUX.2's tokens stand, and who may read whom."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.imagewam.packing import readable

SOURCE_AXIS_0 = 10.0  # first position of the current image
TARGET_AXIS_0 = 0.0  # first position of the goal image


def editing_mask(context: Tensor | None, source: int, target: int, like: Tensor) -> Tensor:
    """Mask of [context, source, target]: only the target's rows may read the target.

    Args:
        context: valid context tokens [B, L], or None with ``like`` giving L.
        source: image tokens of the current image.
        target: image tokens of the goal image.
        like: the packed context [B, L, D].

    Returns:
        bool [B or 1, 1, L + source + target, L + source + target].
    """
    prefix = like.shape[1] + source
    rows = torch.arange(prefix + target, device=like.device) >= prefix
    allowed = rows[:, None] | ~rows[None]
    keys = readable(context, source + target)
    return allowed[None, None] if keys is None else allowed & keys


def context_positions(length: int, like: Tensor) -> Tensor:
    """Positions [L, 4] of text and proprioception: (0, 0, 0, index)."""
    positions = torch.zeros(length, 4, device=like.device)
    positions[:, 3] = torch.arange(length, device=like.device)
    return positions.to(like.dtype)


def image_positions(grid: tuple[int, int], axis_0: float, like: Tensor) -> Tensor:
    """Positions [rows * columns, 4] of an image's tokens: (axis_0, row, column, 0)."""
    rows, columns = (torch.arange(n, device=like.device, dtype=torch.float32) for n in grid)
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    first = torch.full_like(row, axis_0)
    return torch.stack([first, row, column, torch.zeros_like(row)], -1).flatten(0, 1).to(like.dtype)
