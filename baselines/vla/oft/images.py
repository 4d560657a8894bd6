"""The crop that OpenVLA-OFT's evaluation takes of every image."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.vla.oft.config import CROP_SIDE


def centre_cropped(images: Tensor) -> Tensor:
    """The middle of images [..., 3, H, W], resized bilinearly to the size they had.

    Corners of the crop are sampled exactly, as ``tf.image.crop_and_resize`` does.
    """
    flat = images.flatten(0, -4)
    zoom = torch.tensor([[CROP_SIDE, 0.0, 0.0], [0.0, CROP_SIDE, 0.0]], device=images.device)
    grid = torch.nn.functional.affine_grid(
        zoom.expand(len(flat), -1, -1), list(flat.shape), align_corners=True
    )
    cropped = torch.nn.functional.grid_sample(flat, grid.to(flat.dtype), align_corners=True)
    return cropped.clamp(0.0, 1.0).view_as(images)
