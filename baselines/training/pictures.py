"""What a model expects to see beside what was then seen, as one picture."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from baselines.nano.config import HORIZON
from baselines.nano.models.base import mosaic

SCALE, GAP, HEADER = 2, 4, 14  # pixels of the picture per pixel of a camera; between frames; titles


def write_picture(path: Path, seen: Tensor, future: Tensor, imagined: Tensor) -> None:
    """Write a PNG with a row per sample: seen, then truth and imagination of every future frame.

    Args:
        path: where to.
        seen: [B, cameras, 3, side, side] in [-1, 1].
        future: [B, K, cameras, 3, side, side] in [-1, 1].
        imagined: [B, K, 3, side, cameras * side].
    """
    count = future.shape[1]
    ahead = [HORIZON * (k + 1) // count for k in range(count)]
    columns, titles = [mosaic(seen)], ["seen"]
    for k, steps in enumerate(ahead):
        columns += [mosaic(future[:, k]), imagined[:, k]]
        titles += [f"{steps} steps later", "imagined"]
    height, width = (SCALE * size + GAP for size in columns[0].shape[-2:])
    sheet = Image.new("RGB", (width * len(columns), HEADER + height * len(seen)), "white")
    for x, (column, title) in enumerate(zip(columns, titles, strict=True)):
        ImageDraw.Draw(sheet).text((x * width, 0), title, fill="black")
        for y, frame in enumerate(column):
            sheet.paste(_image(frame), (x * width, HEADER + y * height))
    sheet.save(path)


def _image(frame: Tensor) -> Image.Image:
    bytes_ = ((frame.float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    image = Image.fromarray(bytes_.movedim(0, -1).numpy())
    return image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.NEAREST)
