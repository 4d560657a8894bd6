"""Hashes that tell checkpoints apart: of a file's bytes, or of the tensors in it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wambench.errors import UserError

if TYPE_CHECKING:  # a policy names its files before torch is imported, and may choose its kernels
    from torch import Tensor

DIGEST_BYTES = 16
CHUNK = 1 << 22


def missing(path: Path) -> str:
    """What to do about a path that is not there; one that reads ``owner/name`` is the hub's."""
    if path.is_absolute() or len(path.parts) < 2 or path.suffix or path.parts[0] == "..":
        return "check the path, or download the file there"
    model = "/".join(path.parts[:2])
    return (
        f"a model of the hub is fetched first ('hf download {model} --local-dir DIR') and then "
        "named by its folder"
    )


def file_hash(path: Path) -> str:
    """Blake2b of a file's bytes, 32 hex digits; read once per process while the file is unchanged.

    Raises UserError if the file cannot be read.
    """
    try:
        found = path.stat()
        return _hash_of(path.resolve(), found.st_size, found.st_mtime_ns)
    except FileNotFoundError:
        raise UserError(f"{str(path)!r} does not exist; {missing(path)}") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{str(path)!r} cannot be read: {reason}; check the path") from None


@functools.lru_cache(maxsize=256)
def _hash_of(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def path_hash(path: Path) -> str:
    """:func:`file_hash` of a file, or one hash of a folder's files and their names.

    Hidden files and folders do not count. Raises UserError if a file cannot be read.
    """
    if not path.is_dir():
        return file_hash(path)
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in name.parts):
            digest.update(repr((name.as_posix(), file_hash(file))).encode())
    return digest.hexdigest()


def content_hash(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Blake2b over names, dtypes, shapes and bytes in sorted order, then the metadata; 32 hex.

    The metadata is part of it, so that a changed step or dtype is noticed as a changed weight is.
    """
    import torch

    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(repr((name, str(tensor.dtype), list(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    digest.update(repr(sorted(metadata.items())).encode())
    return digest.hexdigest()
