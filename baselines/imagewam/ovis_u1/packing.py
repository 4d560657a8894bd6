"""Where every token of Ovis-U1 stands: three axes, text without an order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.core.rotary import rotary_table
from baselines.imagewam.ovis_u1.blocks import Rope

TARGET_AXIS_0 = 0.0  # first position of the goal image
SOURCE_AXIS_0 = 1.0  # first position of the current image
ACTION_AXIS_0 = 2.0  # first position of action tokens


def pack_context(text: Tensor, proprio: Tensor) -> Tensor:
    """Text [B, L, D] with its padding, then proprioception [B, D]: [B, L + 1, D]."""
    return torch.cat([text, proprio[:, None]], dim=1)


def valid_context(lengths: Sequence[int], size: int, device: torch.device) -> Tensor | None:
    """Which tokens of a packed context are no padding, bool [B, size]; None if all are.

    Args:
        lengths: text tokens of each sample.
        size: of the context; its last token is proprioception.
        device: of the result.
    """
    if all(length == size - 1 for length in lengths):
        return None
    place = torch.arange(size, device=device)[None]
    return (place < torch.tensor(lengths, device=device)[:, None]) | (place == size - 1)


def text_positions(length: int, device: torch.device) -> Tensor:
    """Positions [L, 3] of text and proprioception: all (0, 0, 0)."""
    return torch.zeros(length, 3, device=device)


def image_positions(grid: tuple[int, int], axis_0: float, device: torch.device) -> Tensor:
    """Positions [rows * columns, 3] of an image's tokens: (axis_0, row, column)."""
    rows, columns = (torch.arange(n, device=device, dtype=torch.float32) for n in grid)
    row, column = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([torch.full_like(row, axis_0), row, column], -1).flatten(0, 1)


def action_positions(count: int, device: torch.device) -> Tensor:
    """Positions [H, 3] of action tokens: (2, index, 0)."""
    positions = torch.zeros(count, 3, device=device)
    positions[:, 0] = ACTION_AXIS_0
    positions[:, 1] = torch.arange(count, device=device)
    return positions


def rope_of(positions: Tensor, axes: Sequence[int], theta: float) -> Rope:
    """Cosines and sines, their angles in float64 and they in float32, whatever the model's dtype.

    A table of float64 on meta or on a device is as one on the CPU.
    """
    return rotary_table(positions, axes, theta, torch.float64)
