"""Open a checkpoint of any supported form; what is wrong with a file is said in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor

from baselines.core.checkpoints.hashing import missing
from baselines.core.checkpoints.safetensors_files import (
    load_safetensors,
    load_shards,
    looks_like_safetensors,
    shown,
)
from baselines.core.checkpoints.torch_files import (
    AGAIN,
    OLD_MAGIC,
    TAR_MAGIC,
    TAR_MAGIC_AT,
    ZIP_MAGIC,
    load_torch,
)
from baselines.core.checkpoints.wrappers import unwrapped
from wambench.errors import UserError

SKIPPED = "optimizer"
LORA_MARKS = (".lora_A", ".lora_B", ".base.weight", ".base_layer.weight")


@dataclass(frozen=True)
class CheckpointFile:
    """An open checkpoint; its tensors are mapped from the file, so do not write to it meanwhile.

    Attributes:
        path: the file, or the folder of shards.
        tensors: by flat key, top dictionary first (``mot.mixtures.video.img_in.weight``).
        facts: entries without tensors: ``step``, ``torch_dtype``, a configuration, metadata.
        verified: how every byte was checked ("crc32", "content hash"), or "" if the file has no
            checksums.
        files: all files that hold tensors.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    verified: str
    files: tuple[Path, ...]

    @property
    def shapes(self) -> dict[str, Size]:
        """Shape of every tensor by key."""
        return {key: tensor.shape for key, tensor in self.tensors.items()}

    def without(self, *keys: str) -> CheckpointFile:
        """The same checkpoint without tensors that a model knowingly does not use."""
        kept = {key: tensor for key, tensor in self.tensors.items() if key not in keys}
        return replace(self, tensors=kept)


def read_checkpoint(path: Path) -> CheckpointFile:
    """Open a torch zip file, a ``.safetensors`` file or a folder of safetensors shards.

    What a file is, its first bytes say, not its name. No code in it is run and tensors stay on
    disk, but every byte is read once to compare checksums.

    Raises:
        UserError: the file is missing, empty, cut short, damaged, no checkpoint, would run code,
            holds an unmerged LoRA or no tensors.
    """
    try:
        if path.is_dir():
            return _read_folder(path)
        with path.open("rb") as file:
            head = file.read(512)
        if head.startswith(ZIP_MAGIC) or (head and ZIP_MAGIC.startswith(head)):
            content = load_torch(path)
            tensors, facts = _flattened(path, content)
            opened = CheckpointFile(path, tensors, facts, "crc32", (path,))
        elif (complaint := _foreign(path, head)) is not None:
            raise UserError(f"{str(path)!r} {complaint}")
        else:
            tensors, metadata, verified = load_safetensors(path)
            how = "content hash" if verified else ""
            opened = CheckpointFile(path, tensors, _typed(metadata), how, (path,))
    except FileNotFoundError:
        raise UserError(f"{str(path)!r} does not exist; {missing(path)}") from None
    except RecursionError:
        raise UserError(f"{str(path)!r} nests its entries too deeply; save it flat") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{str(path)!r} cannot be read: {reason}; mend that first") from None
    return _checked(opened)


def _read_folder(folder: Path) -> CheckpointFile:
    if not shown(folder, "*.safetensors*"):
        inside = [p.name for p in shown(folder, "*") if p.suffix in (".pt", ".pth", ".bin")]
        remedy = f"name the file in it: {', '.join(inside[:3])}" if inside else "name a file"
        raise UserError(f"{str(folder)!r} is a folder without safetensors; {remedy}")
    tensors, metadata, verified, files = load_shards(folder)
    how = "content hash" if verified else ""
    return _checked(CheckpointFile(folder, tensors, _typed(metadata), how, tuple(files)))


def _foreign(path: Path, head: bytes) -> str | None:
    """Complain about a file that is neither a torch zip file nor safetensors."""
    if not head:
        return f"is empty; {AGAIN}"
    if head.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the file it stands for; run `git lfs pull`"
    if head.startswith(OLD_MAGIC) or head[TAR_MAGIC_AT:].startswith(TAR_MAGIC):
        old = "is in torch's format of before 1.6, which has no checksums"
        return f"{old}; save it again with a current torch"
    if head[0] == 0x80 and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "is a bare pickle, which may run code; get a file of torch.save or safetensors"
    if not looks_like_safetensors(head) or (len(head) < 9 and path.suffix != ".safetensors"):
        start = ascii(head[:16].decode("latin-1"))
        return f"is not a checkpoint (it begins with {start}); name a torch or safetensors file"
    return None


def _flattened(path: Path, content: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by flat key, and the top entries that hold none."""
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise UserError(f"{str(path)!r} holds a {kind}, not tensors by name; name a checkpoint")
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for top, value in content.items():
        if top == SKIPPED:
            continue
        found = list(_walk(str(top), value))
        if not found:
            facts[str(top)] = value
        for key, tensor in found:
            if key in tensors:
                what = f"{key!r} twice; save it again with one of them"
                raise UserError(f"{str(path)!r} holds {what}")
            if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
                what = f"{key!r} is sparse, quantised or without values"
                raise UserError(f"{str(path)!r} cannot be used: {what}; save it as a dense tensor")
            tensors[key] = tensor.detach()
    return tensors, facts


def _walk(key: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield key, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _walk(f"{key}.{name}", part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _walk(f"{key}.{number}", part)


def _typed(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Safetensors metadata is text; a step is a number."""
    step = metadata.get("step", "")
    return {**metadata, "step": int(step)} if step.isdecimal() else dict(metadata)


def _checked(file: CheckpointFile) -> CheckpointFile:
    if not file.tensors:
        raise UserError(f"{str(file.path)!r} holds no tensors; name a checkpoint with weights")
    file = replace(file, tensors=unwrapped(file.tensors))
    for key in file.tensors:
        if any(mark in key for mark in LORA_MARKS):
            what = f"is a LoRA checkpoint ({key!r})"
            raise UserError(f"{str(file.path)!r} {what}; merge it into its base weights first")
    return file
