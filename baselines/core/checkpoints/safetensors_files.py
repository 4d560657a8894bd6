"""Safetensors: one file, or a folder of shards as diffusers and transformers write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from baselines.core.checkpoints.hashing import content_hash
from wambench.errors import UserError, one_line

HASH_KEY = "content_hash"
INDEX = "*.safetensors.index.json"
LENGTH_BYTES = 8
HEADER_LIMIT = 100_000_000  # the format's own limit
AGAIN = "download or copy it again"


def shown(folder: Path, pattern: str) -> list[Path]:
    """A folder's files of a pattern, sorted, without hidden ones (macOS leaves ``._name``)."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def looks_like_safetensors(head: bytes) -> bool:
    """Whether a file may be one, by its first bytes: a plausible length, then a JSON object."""
    length = int.from_bytes(head[:LENGTH_BYTES], "little")
    return length <= HEADER_LIMIT and head[LENGTH_BYTES : LENGTH_BYTES + 1] in (b"{", b"")


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str], bool]:
    """Tensors mapped from a file, its metadata, and whether its content hash was verified.

    Files of others carry no hash: then only names, shapes and the length can be checked.
    Raises UserError for a damaged file.
    """
    _check_length(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        reason = one_line(error)[:160]
        raise UserError(f"{str(path)!r} is damaged: {reason}; {AGAIN}") from None
    stored = metadata.pop(HASH_KEY, None)
    if stored is not None and stored != content_hash(tensors, metadata):
        what = "its tensors do not have the content hash they were saved with"
        raise UserError(f"{str(path)!r} is damaged: {what}; {AGAIN}")
    return tensors, metadata, stored is not None


def _check_length(path: Path) -> None:
    """Compare the file's length with what its header promises."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header_size = int.from_bytes(file.read(LENGTH_BYTES), "little")
        header = file.read(header_size)
    if size < LENGTH_BYTES or len(header) < header_size:
        raise UserError(f"{str(path)!r} is cut short: it ends inside its header; {AGAIN}")
    try:
        entries: dict[str, Any] = json.loads(header)
        ends = [value["data_offsets"][1] for key, value in entries.items() if key != "__metadata__"]
        promised = LENGTH_BYTES + header_size + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise UserError(f"{str(path)!r} is damaged: its header is unreadable; {AGAIN}") from None
    if size < promised:
        raise UserError(f"{str(path)!r} is cut short: {size} of {promised} bytes; {AGAIN}")
    if size > promised:
        what = f"{size - promised} bytes follow its last tensor"
        raise UserError(f"{str(path)!r} is damaged: {what}; {AGAIN}")


def load_shards(folder: Path) -> tuple[dict[str, Tensor], dict[str, str], bool, list[Path]]:
    """Tensors of a folder's shards as one mapping, metadata, whether verified, and the files.

    The index says which shard holds which tensor; a folder with one ``.safetensors`` needs none.
    Raises UserError if the index and the shards disagree.
    """
    index = _index(folder)
    if index is None:
        (single,) = shown(folder, "*.safetensors")
        return *load_safetensors(single), [single]
    where = _weight_map(index)
    files = [folder / name for name in sorted(set(where.values()))]
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    verified = True
    for file in files:
        if not file.is_file():
            what = f"shard {file.name!r} of its index is missing"
            raise UserError(f"{str(folder)!r} is not complete: {what}; download it, too")
        found, about, checked = load_safetensors(file)
        listed = {key for key, name in where.items() if name == file.name}
        if odd := sorted(listed ^ found.keys()):
            what = f"index and shard {file.name!r} disagree about {odd[0]!r}"
            raise UserError(f"{str(folder)!r} mixes two versions: {what}; {AGAIN}")
        tensors |= found
        metadata |= about
        verified &= checked
    return tensors, metadata, verified, files


def _index(folder: Path) -> Path | None:
    """The index of a folder's shards, or None where a single file needs none."""
    indices, singles = shown(folder, INDEX), shown(folder, "*.safetensors")
    if len(indices) > 1 or (not indices and len(singles) > 1):
        several = ", ".join(path.name for path in (indices or singles)[:3])
        remedy = "name one file, or keep one of them and its index"
        raise UserError(f"{str(folder)!r} holds several checkpoints ({several}); {remedy}")
    return indices[0] if indices else None


def _weight_map(index: Path) -> dict[str, str]:
    """Which file of the folder holds each tensor."""
    try:
        where: dict[str, str] = json.loads(index.read_text(encoding="utf-8-sig"))["weight_map"]
        plain = all(name == Path(name).name for name in where.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        plain = False
    if not plain:
        raise UserError(f"{str(index)!r} is not an index of shards; {AGAIN}")
    return where
