"""Names of files from what people call their policies."""

from __future__ import annotations

import hashlib
import re

PLAIN = re.compile(r"[a-z0-9][a-z0-9._+=-]{0,79}", re.ASCII)


def file_name(label: str) -> str:
    """A part of a file's name that no other label has, on any file system.

    Plain lower-case labels are their own name. Of any other, what cannot be in a file's name (or
    differs by case alone) is replaced, and a hash of the label keeps it apart from its like.
    """
    if PLAIN.fullmatch(label):
        return label
    readable = re.sub(r"[^A-Za-z0-9._+=-]+", "_", label)[:40].strip("._-")
    digest = hashlib.blake2b(label.encode(), digest_size=3).hexdigest()
    return f"{readable}_{digest}" if readable else digest
