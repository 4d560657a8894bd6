"""Causal language models as text encoders: what transformers' layers are given."""

from __future__ import annotations

import torch
from torch import Tensor


def causal_mask(length: int, valid: Tensor | None, device: torch.device) -> Tensor:
    """Mask bool [1 or B, 1, L, L]: a token reads itself and those before it, padding is not read.

    ``valid``: bool [B, L], True: a token; None: all are.
    """
    allowed = torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]
    return allowed if valid is None else allowed & valid[:, None, None]


def half_rotary_table(length: int, dim: int, theta: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [1, L, dim] of positions 0.., as transformers' layers take them.

    Channel i turns with channel i + dim / 2; angles in float32, result in the dtype of ``like``.
    """
    position = torch.arange(length, device=like.device, dtype=torch.float32)
    exponent = torch.arange(0, dim, 2, device=like.device, dtype=torch.float32) / dim
    angles = (position[:, None] * (1.0 / theta**exponent)).repeat(1, 2)[None]
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)
