"""Start the action expert from the editor (scripts/flux2/preprocess_action_dit_flux2.py)."""

from __future__ import annotations

from baselines.core.initialise import resized
from baselines.imagewam.flux2.layout import editor_layout
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.initialise import initialise_from


def initialise_expert(model: Flux2WAM) -> int:
    """Overwrite the expert with the editor's tensors of the same released name, resized.

    Resizing acts on the released layout: a fused qkv is one axis, as in the reference script.

    Returns:
        The number of tensors taken from the editor.
    """
    sources = {entry.file: entry.model for entry in editor_layout(model.config, "")}
    return initialise_from(model, sources, resized)
