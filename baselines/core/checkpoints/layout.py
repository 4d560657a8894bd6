"""A checkpoint's layout as data: which tensor of the file goes where in the model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One tensor of a file.

    Attributes:
        file: its key, top dictionary first (``mot.mixtures.video.patch_embedding.weight``).
        model: names in ``model.state_dict()``. Several: the tensor's rows are split evenly among
            them, in order (a fused ``qkv``).
        swap_halves: the two halves of its rows trade places (FLUX.2 writes shift before scale,
            diffusers scale before shift).
        squeeze: trailing dimensions of length 1 are dropped (the file has a 1x1 convolution, the
            model a linear layer).
        alias_of: the key of another entry that holds the same values; then ``model`` is empty.
        unread: the file may hold it, the model has no use for it; then ``model`` is empty.
    """

    file: str
    model: tuple[str, ...] = ()
    swap_halves: bool = False
    squeeze: bool = False
    alias_of: str | None = None
    unread: bool = False


Layout = tuple[Entry, ...]
