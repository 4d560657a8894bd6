"""Start the action expert from the editor: the same shapes, so every tensor is copied."""

from __future__ import annotations

from torch import Size, Tensor

from baselines.imagewam.initialise import initialise_from
from baselines.imagewam.ovis_u1.model import OvisU1WAM


def initialise_expert(model: OvisU1WAM) -> int:
    """Overwrite the expert with the editor's tensors of the same name, dead text halves too.

    Returns:
        The number of tensors taken from the editor.
    """
    names = (name for name, _ in model.editor.named_parameters())
    return initialise_from(model, {name: (f"editor.{name}",) for name in names}, _same)


def _same(source: Tensor, shape: Size) -> Tensor:
    assert source.shape == shape
    return source
