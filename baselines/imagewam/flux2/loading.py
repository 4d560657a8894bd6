"""Fill an ImageWAM on FLUX.2 from the files that hold its parts."""

from __future__ import annotations

from pathlib import Path

import torch

from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.loading import load_into
from baselines.imagewam.flux2.layout import layout
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.flux2.vae_layout import vae_layout
from baselines.imagewam.loading import fill_text_encoder


def fill_model(
    model: Flux2WAM, checkpoint: Path, vae: Path, text_encoder: Path, dtype: torch.dtype
) -> None:
    """Fill every component; UserError for a bad file, and then ``model`` must not be used.

    Args:
        model: on meta.
        checkpoint: ``model.pt`` of the release.
        vae: ``ae.safetensors`` as Black Forest Labs publish it, or a diffusers folder.
        text_encoder: transformers folder of Qwen3.
        dtype: of all weights.
    """
    load_into(model.trained(), checkpoint, layout(model.config), dtype)
    if model.image_encoder is not None and model.config.vae is not None:
        released = vae_layout(model.config.vae, ours="vae.")
        names = identity(model.image_encoder, drop="vae.") if vae.is_dir() else released
        load_into(model.image_encoder, vae, names, dtype)
    if model.text_encoder is not None:
        fill_text_encoder(model.text_encoder, text_encoder, dtype)


def fill_editor(model: Flux2WAM, folder: Path, dtype: torch.dtype) -> None:
    """Fill the editor alone from a diffusers folder of FLUX.2, to start training from."""
    load_into(model.editor, folder, identity(model.editor), dtype)
