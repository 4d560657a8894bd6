"""Start an action expert from the video DiT, as FastWAM's training does."""

from __future__ import annotations

from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor

from baselines.core.initialise import resized
from baselines.videowam.modules import ActionExpert

NEW_PARTS = ("action_encoder.", "head.")


def initial_weights(video: WanTransformer3DModel, action: ActionExpert) -> dict[str, Tensor]:
    """Weights for every part of ``action`` that ``video`` has too, resized from there.

    Args:
        video: the pretrained DiT.
        action: gives names and shapes; may be on meta.

    Returns:
        float32 tensors by their names in ``action.state_dict()``, for ``load_state_dict`` with
        ``strict=False``: action encoder and head have no counterpart and keep their random start
        (scripts/preprocess_action_dit_backbone.py of the reference code).
    """
    source = video.state_dict()
    return {
        name: resized(source[name], tensor.shape)
        for name, tensor in action.state_dict().items()
        if not name.startswith(NEW_PARTS)
    }
