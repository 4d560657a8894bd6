"""Weights under their own names: folders of diffusers and transformers, here or on the hub."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from baselines.core.checkpoints.layout import Entry, Layout
from wambench.errors import UserError, one_line


def identity(module: nn.Module, *, drop: str = "", add: str = "") -> Layout:
    """A layout in which the file's names are the module's, without ``drop`` and behind ``add``."""
    names = module.state_dict()
    return tuple(Entry(add + name.removeprefix(drop), (name,)) for name in names)


def local_path(path: Path) -> Path:
    """``path`` if it exists; else, if it reads ``owner/name[/folder…]``, that model from the hub.

    Raises:
        UserError: neither here nor to be had from the hub.
    """
    if path.exists() or path.is_absolute() or len(path.parts) < 2 or path.suffix:
        return path
    from huggingface_hub import snapshot_download

    owner, name, *inner = path.parts
    folder = "/".join([*inner, ""])
    wanted = [f"{folder}*.safetensors", f"{folder}*.json", f"{folder}*.txt", f"{folder}*.model"]
    try:
        return Path(snapshot_download(f"{owner}/{name}", allow_patterns=wanted), *inner)
    except Exception as error:  # the hub's client raises many kinds, its transport more
        raise UserError(
            f"{str(path)!r} is no path here, and the hub does not give it "
            f"({one_line(error)[:100]}); name a local file or folder"
        ) from None
