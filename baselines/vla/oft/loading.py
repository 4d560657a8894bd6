"""Fill an OpenVLA-OFT from a release: a folder of shards and two torch files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from baselines.core.checkpoints.loading import fill_from
from baselines.core.checkpoints.reading import read_checkpoint
from baselines.vla.oft.layout import layout
from baselines.vla.oft.model import OFT
from wambench import UserError

PARTS = ("action_head", "proprio_projector")  # files "<part>--<step>_checkpoint.pt"


def fill_model(model: OFT, folder: Path, dtype: torch.dtype) -> None:
    """Fill all of ``model`` (on meta); UserError for a missing or bad file, and then nothing is."""
    merged = read_checkpoint(folder)
    tensors = {f"vla.{name}": tensor for name, tensor in merged.tensors.items()}
    for part in PARTS:
        found = sorted(folder.glob(f"{part}--*.pt"))
        if len(found) != 1:
            raise UserError(
                f"{str(folder)!r} has {len(found)} files {part}--*.pt, one is needed; "
                "get the whole folder of the release"
            )
        head = read_checkpoint(found[0])
        tensors |= {f"{part}.{name}": tensor for name, tensor in head.tensors.items()}
    merged = dataclasses.replace(merged, tensors=tensors)
    fill_from(model, merged, layout(model.config), dtype)
