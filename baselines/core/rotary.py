"""Rotary position embedding over several axes, on interleaved pairs of channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def rotary_table(
    positions: Tensor, dims: Sequence[int], theta: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles ``position * theta ** (-2 i / dim)`` for every axis.

    Args:
        positions: [T, axes].
        dims: channels of each axis (even); their sum is the head dimension.
        theta: base of the frequencies.
        dtype: the angles are computed in it. FLUX.2 uses the model's own dtype, so that a bf16
            model was trained on coarse angles that a finer table would not reproduce; Wan uses
            float64.

    Returns:
        cos and sin, each [T, head_dim / 2], float32.
    """
    positions = positions.to(dtype)
    angles = []
    for axis, dim in enumerate(dims):
        exponent = torch.arange(0, dim, 2, dtype=dtype, device=positions.device) / dim
        angles.append(positions[:, axis, None] * (1.0 / theta**exponent))
    angle = torch.cat(angles, dim=1)
    return angle.cos().float(), angle.sin().float()


def rotate_pairs(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate channel pairs (2i, 2i + 1) of ``x`` [B, T, heads, head_dim].

    ``table``: cosines and sines [T, head_dim / 2] or, where samples differ, [B, T, head_dim / 2].
    The product is computed in its dtype, float32 or float64.
    """
    # One kernel; sines and cosines apart would take eight.
    turn = torch.complex(*table).unsqueeze(-2)
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)
