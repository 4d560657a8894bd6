"""A camera's image as SmolVLA sees it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def fitted(pixels: Tensor, side: int) -> Tensor:
    """Pixels 0..255 [B, 3, H, W] as [B, 3, side, side] in [-1, 1], float32.

    The longer side is resized to ``side``; above and on the left the rest is black (lerobot 0.4.4,
    ``resize_with_pad`` of policies/smolvla/modeling_smolvla.py).
    """
    tall, wide = pixels.shape[-2:]
    ratio = max(tall / side, wide / side)
    size = int(tall / ratio), int(wide / ratio)
    x = F.interpolate(pixels.float() / 255.0, size, mode="bilinear", align_corners=False)
    return F.pad(x, (side - size[1], 0, side - size[0], 0)) * 2.0 - 1.0
