"""Where FLUX.2's tokens stand."""

from __future__ import annotations

import torch
from torch import Tensor

SOURCE_AXIS_0 = 10.0  # first position of the current image
TARGET_AXIS_0 = 0.0  # first position of the goal image


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
