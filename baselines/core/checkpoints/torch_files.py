"""Files of ``torch.save``: every byte checked, nothing run, nothing read before it is needed."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from wambench.errors import UserError, one_line

ZIP_MAGIC = b"PK\x03\x04"
END_MAGIC, END_BYTES = b"PK\x05\x06", 22
OLD_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9"  # torch's magic number, pickled, of before 1.6
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
CHUNK = 1 << 22
AGAIN = "download or copy it again"


def load_torch(path: Path) -> Any:
    """What ``torch.save`` put into a zip file, its tensors mapped from the file (not yet read).

    Every record is compared with its CRC-32 first, because ``torch.load`` does not look at them.
    Raises UserError for a damaged file and for one with more than tensors and plain values.
    """
    _check_records(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise UserError(_holds_code(path)) from None
    except Exception as error:  # a crafted pickle can fail anywhere in torch
        reason = one_line(error)[:160]
        raise UserError(f"{str(path)!r} cannot be read by torch ({reason}); {AGAIN}") from None


def _check_records(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            _check_kind(path, records)
            for record in records:
                _check_crc(path, archive, record)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        if _has_end(path):
            what = "the list of its records is unreadable"
            raise UserError(f"{str(path)!r} is damaged: {what}; {AGAIN}") from None
        size = f"it ends after {path.stat().st_size} bytes without the list of its records"
        raise UserError(f"{str(path)!r} is cut short: {size}; {AGAIN}") from None


def _has_end(path: Path) -> bool:
    """Whether the mark of a zip file's last record, which precedes 18 bytes, is there."""
    with path.open("rb") as file:
        file.seek(-min(END_BYTES, path.stat().st_size), os.SEEK_END)
        return file.read(len(END_MAGIC)) == END_MAGIC


def _check_kind(path: Path, records: list[zipfile.ZipInfo]) -> None:
    names = [record.filename for record in records]
    if any(name.endswith("/constants.pkl") for name in names):
        what = "is a TorchScript program, which is code; get a checkpoint of plain tensors"
    elif sum(name.endswith("/data.pkl") for name in names) != 1:
        what = "is a zip archive, but not of torch.save; name the checkpoint file inside it"
    elif len(set(names)) != len(names):
        what = f"is damaged: two records have the same name; {AGAIN}"
    elif any(record.compress_type or record.flag_bits & 1 for record in records):
        what = "was packed again by an archive tool; get the file as torch.save wrote it"
    elif not any(record.CRC for record in records):
        what = "was saved without checksums (set_crc32_options); save it again with them"
    else:
        return
    raise UserError(f"{str(path)!r} {what}")


def _check_crc(path: Path, archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    try:
        with archive.open(record) as data:
            while data.read(CHUNK):
                pass
    except (zipfile.BadZipFile, EOFError, RuntimeError):
        what = f"record {record.filename!r} does not have the checksum it was saved with"
        raise UserError(f"{str(path)!r} is damaged: {what}; {AGAIN}") from None


def _holds_code(path: Path) -> str:
    remedy = "get a checkpoint of plain tensors, or save its state dict alone where it is trusted"
    try:
        called = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # the pickle is odder than a foreign global
        called = []
    if not called:
        return f"{str(path)!r} holds Python objects that are not tensors or plain values; {remedy}"
    shown = ", ".join(map(repr, called[:3]))
    more = f" and {len(called) - 3} more" if len(called) > 3 else ""
    return f"{str(path)!r} would run code when opened ({shown}{more}) and was not; {remedy}"
