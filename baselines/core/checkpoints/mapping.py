"""Apply a layout: the tensors of a file as those of a model, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Size, Tensor

from baselines.core.checkpoints.layout import Layout


def to_model(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Tensors by the model's names; views of the file's wherever rows keep their order."""
    out: dict[str, Tensor] = {}
    for entry in layout:
        if entry.model:
            tensor = tensors[entry.file]
            whole = _swapped(tensor) if entry.swap_halves else tensor
            whole = whole.view(squeezed(whole.shape)) if entry.squeeze else whole
            parts = whole.chunk(len(entry.model)) if len(entry.model) > 1 else (whole,)
            out.update(zip(entry.model, parts, strict=True))
    return out


def to_file(state_dict: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Tensors by the file's keys in the layout's order; an alias is the very same tensor.

    Raises ValueError if the names of ``state_dict`` are not those of the layout.
    """
    named = [name for entry in layout for name in entry.model]
    if odd := sorted(set(named) ^ state_dict.keys()):
        raise ValueError(f"layout and model disagree about {odd[0]!r}")
    out: dict[str, Tensor] = {}
    for entry in layout:
        if entry.model:
            parts = [state_dict[name].detach() for name in entry.model]
            whole = torch.cat(parts) if len(parts) > 1 else parts[0]
            whole = whole[..., None, None] if entry.squeeze else whole
            out[entry.file] = _swapped(whole) if entry.swap_halves else whole
    aliases = {entry.file: out[entry.alias_of] for entry in layout if entry.alias_of is not None}
    out |= aliases
    return {entry.file: out[entry.file] for entry in layout if not entry.unread}


def squeezed(shape: Size) -> Size:
    """A shape without its trailing ones."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _swapped(tensor: Tensor) -> Tensor:
    first, second = tensor.chunk(2)
    return torch.cat([second, first])
