"""Fill an ImageWAM on OmniGen2 from the files that hold its parts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.loading import fill_from, load_into
from baselines.core.checkpoints.reading import read_checkpoint
from baselines.imagewam.omnigen2.layout import layout
from baselines.imagewam.omnigen2.model import OmniGen2WAM

UNREAD = ("visual.", "model.visual.", "lm_head.")  # of Qwen2.5-VL, for which we have no use
PREFIXES = ("model.language_model.", "language_model.", "model.")  # of its language model


def fill_model(
    model: OmniGen2WAM, checkpoint: Path, vae: Path, text_encoder: Path, dtype: torch.dtype
) -> None:
    """Fill every component; UserError for a bad file, and then ``model`` must not be used.

    Args:
        model: on meta.
        checkpoint: ``model.pt`` of the release.
        vae: diffusers folder of FLUX.1's autoencoder (``vae`` of the OmniGen2 release).
        text_encoder: transformers folder of Qwen2.5-VL.
        dtype: of all weights.
    """
    load_into(model.trained(), checkpoint, layout(model.config), dtype)
    if model.image_encoder is not None:
        load_into(model.image_encoder, vae, identity(model.image_encoder, drop="vae."), dtype)
    if model.text_encoder is not None:
        fill_language_model(model.text_encoder, text_encoder, dtype)


def fill_language_model(encoder: nn.Module, folder: Path, dtype: torch.dtype) -> None:
    """Fill the language model of a Qwen2.5-VL; its image tower and head stay where they are."""
    file = read_checkpoint(folder)
    file = file.without(*(key for key in file.tensors if key.startswith(UNREAD)))
    prefix = next((p for p in PREFIXES if p + "embed_tokens.weight" in file.tensors), PREFIXES[-1])
    fill_from(encoder, file, identity(encoder, drop="model.", add=prefix), dtype)


def fill_editor(model: OmniGen2WAM, folder: Path, dtype: torch.dtype) -> None:
    """Fill the editor alone from a folder of the OmniGen2 release, to start training from."""
    load_into(model.editor, folder, identity(model.editor), dtype)
