"""Fill a FastWAM from the files that hold its parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from transformers import UMT5EncoderModel

from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.loading import fill_from, load_into
from baselines.core.checkpoints.reading import read_checkpoint
from baselines.videowam.layout import layout
from baselines.videowam.modules import FastWam

_SHARED, _EMBEDDED = "shared.weight", "encoder.embed_tokens.weight"


def fill_model(
    model: FastWam, checkpoint: Path, vae: Path, text_encoder: Path, dtype: torch.dtype
) -> None:
    """Fill every component; UserError for a bad file, and then ``model`` must not be used.

    Args:
        model: on meta.
        checkpoint: the released ``.pt``.
        vae: diffusers folder of Wan2.2's VAE.
        text_encoder: transformers folder of the UMT5 encoder.
        dtype: of all weights.
    """
    load_into(model.trained(), checkpoint, layout(model.config), dtype)
    if model.vae is not None:
        load_into(model.vae, vae, identity(model.vae), dtype)
    if model.text_encoder is not None:
        fill_text_encoder(model.text_encoder, text_encoder, dtype)


def fill_text_encoder(encoder: UMT5EncoderModel, folder: Path, dtype: torch.dtype) -> None:
    """Fill UMT5, whose files may name its one embedding once or twice."""
    file = read_checkpoint(folder)
    for one, other in ((_SHARED, _EMBEDDED), (_EMBEDDED, _SHARED)):
        if one in file.tensors and other not in file.tensors:
            tensors = {**file.tensors, other: file.tensors[one]}
            file = dataclasses.replace(file, tensors=tensors)
    fill_from(encoder, file, identity(encoder), dtype)


def fill_video(model: FastWam, folder: Path, dtype: torch.dtype) -> None:
    """Fill the video DiT alone from a diffusers folder of Wan2.2, to start training from."""
    load_into(model.video, folder, identity(model.video), dtype)
