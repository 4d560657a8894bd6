"""Start the action expert from the editor (scripts/omnigen2/preprocess_action_dit_omnigen2.py)."""

from __future__ import annotations

from torch import Size, Tensor

from baselines.core.initialise import resized
from baselines.imagewam.initialise import FRESH, initialise_from
from baselines.imagewam.omnigen2.model import OmniGen2WAM


def initialise_expert(model: OmniGen2WAM) -> int:
    """Overwrite the expert's blocks and time embedder with the editor's, resized, not rescaled.

    Returns:
        The number of tensors taken from the editor.
    """
    names = (name for name, _ in model.expert.named_parameters() if not name.startswith(FRESH))
    return initialise_from(model, {name: (_source(name),) for name in names}, _interpolated)


def _source(name: str) -> str:
    if name.startswith("blocks."):
        return "editor.layers." + name.removeprefix("blocks.")
    return "editor.time_caption_embed." + name


def _interpolated(source: Tensor, shape: Size) -> Tensor:
    return resized(source, shape, keep_variance=False)
