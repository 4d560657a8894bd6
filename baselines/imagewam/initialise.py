"""Start the action expert from the editor (scripts/flux2/preprocess_action_dit_flux2.py)."""

from __future__ import annotations

import torch

from baselines.core.initialise import resized
from baselines.imagewam.layout import editor_layout
from baselines.imagewam.model import ImageWAM

FRESH = ("action_encoder.", "head.")  # these have no counterpart in the editor


def initialise_expert(model: ImageWAM) -> int:
    """Overwrite the expert with the editor's tensors of the same released name, resized.

    Resizing acts on the released layout: a fused qkv is one axis, as in the reference script.

    Returns:
        The number of tensors taken from the editor.
    """
    entries = {entry.file: entry.model for entry in editor_layout(model.config, "")}
    source = model.state_dict()
    taken = 0
    with torch.no_grad():
        for name, target in model.expert.named_parameters():
            if name.startswith(FRESH):
                continue
            fused = torch.cat([source[part] for part in entries[name]])
            target.copy_(resized(fused, target.shape))
            taken += 1
    return taken
