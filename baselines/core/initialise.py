"""Start an action expert from its backbone: resize every tensor that has a namesake there."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Size, Tensor


def resized(source: Tensor, shape: Size, *, keep_variance: bool = True) -> Tensor:
    """Linearly interpolate ``source`` axis by axis (first, then last) to ``shape``.

    Fused rows (q, k, v; gate, up) are interpolated as one
    axis, as both reference scripts do (scripts/**/preprocess_action_dit_*.py), so that chunks blend
    at their borders.

    Args:
        source: [N] or [N, M] (or more: leading and last axes must be all that change).
        shape: of the result.
        keep_variance: multiply values by ``sqrt(source_last / target_last)`` if the last axis
            changed, which keeps the variance of a matrix product; OmniGen2's script does not.

    Returns:
        float32 tensor of ``shape``; equal to ``source`` if the shapes agree.
    """
    if source.shape == shape:
        return source.float().clone()
    out = source.float()
    for axis in range(out.dim()):
        if out.shape[axis] != shape[axis]:
            out = _along(out, axis, shape[axis])
    if keep_variance and out.dim() > 1 and source.shape[-1] != shape[-1]:
        out = out * math.sqrt(source.shape[-1] / shape[-1])
    return out


def _along(x: Tensor, axis: int, length: int) -> Tensor:
    moved = x.movedim(axis, -1)
    flat = moved.reshape(1, -1, moved.shape[-1])
    line = F.interpolate(flat, size=length, mode="linear", align_corners=True)
    return line.reshape(*moved.shape[:-1], length).movedim(-1, axis)
