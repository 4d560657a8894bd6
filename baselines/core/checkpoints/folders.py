"""Weights under their own names: folders of diffusers and transformers."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from baselines.core.checkpoints.layout import Entry, Layout


def identity(module: nn.Module, *, drop: str = "", add: str = "") -> Layout:
    """A layout in which the file's names are the module's, without ``drop`` and behind ``add``."""
    names = module.state_dict()
    return tuple(Entry(add + name.removeprefix(drop), (name,)) for name in names)


def missing(path: Path) -> str:
    """What to do about a path that is not there; one that reads ``owner/name`` is the hub's."""
    if path.is_absolute() or len(path.parts) < 2 or path.suffix or path.parts[0] == "..":
        return "check the path, or download the file there"
    model = "/".join(path.parts[:2])
    return (
        f"a model of the hub is fetched first ('hf download {model} --local-dir DIR') and then "
        "named by its folder"
    )
