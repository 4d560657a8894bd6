"""Write checkpoints: whole or not at all, in the released layout or as safetensors with a hash."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from baselines.core.checkpoints.hashing import content_hash
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.mapping import to_file
from baselines.core.checkpoints.safetensors_files import HASH_KEY
from wambench.errors import UserError


def write_released(
    path: Path, state_dict: Mapping[str, Tensor], layout: Layout, step: int, dtype: torch.dtype
) -> None:
    """Write a model as the reference codes do: dictionaries of tensors, ``step``, ``torch_dtype``.

    Floating tensors are cast to ``dtype``; aliases are stored once and named twice.

    Raises:
        UserError: the file cannot be written; an older one of that name is kept.
        ValueError: the names of ``state_dict`` are not those of the layout.
    """
    content: dict[str, Any] = {}
    compact: dict[int, Tensor] = {}
    for key, tensor in to_file(state_dict, layout).items():
        top, _, name = key.partition(".")
        if id(tensor) not in compact:
            compact[id(tensor)] = _compact(tensor, dtype)
        content.setdefault(top, {})[name] = compact[id(tensor)]
    with _replacing(path) as temporary, temporary.open("wb") as file:
        torch.save({**content, "step": step, "torch_dtype": str(dtype)}, file)


def write_safetensors(
    path: Path, state_dict: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors with a content hash in the metadata, which reading compares.

    Raises UserError if the file cannot be written; an older one of that name is kept.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    seen: set[int] = set()
    for name, tensor in tensors.items():  # the format refuses shared memory
        memory = tensor.untyped_storage().data_ptr()
        if memory in seen:
            tensors[name] = tensor.clone()
        seen.add(memory)
    about = {**metadata, HASH_KEY: content_hash(tensors, metadata)}
    with _replacing(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, about)


def _compact(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """On the CPU, in ``dtype`` if floating, and without the rest of a storage it is a view of."""
    tensor = tensor.cpu().contiguous()
    tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
    is_whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if is_whole else tensor.clone()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` that takes its place once the block has written it to the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors lets nobody else read what it writes
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{str(path)!r} cannot be written: {reason}; choose another path") from None
    finally:
        temporary.unlink(missing_ok=True)
