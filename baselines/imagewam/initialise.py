"""Start an action expert from its editor, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Size, Tensor

from baselines.imagewam.model import ImageWAM

FRESH = ("action_encoder.", "head.")  # these have no counterpart in an editor


def initialise_from(
    model: ImageWAM,
    sources: Mapping[str, Sequence[str]],
    resize: Callable[[Tensor, Size], Tensor],
) -> int:
    """Overwrite all of the expert but its encoder and head.

    Args:
        model: with a filled editor.
        sources: name in the expert -> names in ``model.state_dict()``, whose rows are joined.
        resize: to another shape.

    Returns:
        The number of tensors taken from the editor.
    """
    source = model.state_dict()
    taken = 0
    with torch.no_grad():
        for name, target in model.expert.named_parameters():
            if name.startswith(FRESH):
                continue
            target.copy_(resize(torch.cat([source[part] for part in sources[name]]), target.shape))
            taken += 1
    return taken
