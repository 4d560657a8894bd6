"""Weights under their own names: folders of diffusers and transformers."""

from __future__ import annotations

from torch import nn

from baselines.core.checkpoints.layout import Entry, Layout


def identity(module: nn.Module, *, drop: str = "", add: str = "") -> Layout:
    """A layout in which the file's names are the module's, without ``drop`` and behind ``add``."""
    names = module.state_dict()
    return tuple(Entry(add + name.removeprefix(drop), (name,)) for name in names)
