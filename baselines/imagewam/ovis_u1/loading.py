"""Fill an ImageWAM on Ovis-U1 from the files that hold its parts."""

from __future__ import annotations

from pathlib import Path

import torch

from baselines.core.checkpoints.folders import identity
from baselines.core.checkpoints.loading import fill_from, load_into
from baselines.core.checkpoints.reading import read_checkpoint
from baselines.imagewam.ovis_u1.layout import condition_layout, layout
from baselines.imagewam.ovis_u1.model import OvisU1WAM

# Names of the class that ImageWAM ships for it (third_party/ovis_u1_hf).
PARTS = {"visual.": "visual_tokenizer.", "llm.": "llm.model.", "vte.": "vte."}
_GENERATOR = "visual_generator."  # Yak and autoencoder as Ovis-U1 was released
_HEAD = "llm.lm_head.weight"  # repeats the embeddings


def fill_model(
    model: OvisU1WAM, checkpoint: Path, vae: Path, text_encoder: Path, dtype: torch.dtype
) -> None:
    """Fill every component; UserError for a bad file, and then ``model`` must not be used.

    Args:
        model: on meta.
        checkpoint: ``model.pt`` of the release.
        vae: diffusers folder of the autoencoder.
        text_encoder: folder of Ovis-U1, whose vision-language model is used.
        dtype: of all weights.
    """
    load_into(model.trained(), checkpoint, layout(model.config), dtype)
    load_into(model.image_encoder, vae, identity(model.image_encoder, drop="vae."), dtype)
    if model.text_encoder is not None:
        file = read_checkpoint(text_encoder)
        unused = [key for key in file.tensors if key.startswith(_GENERATOR) or key == _HEAD]
        names = condition_layout(model.text_encoder, PARTS)
        fill_from(model.text_encoder, file.without(*unused), names, dtype)
