"""What a peer may send at most, and the one error for what it may not."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from wambench.errors import InfrastructureFailure

SERVER_BYTES = 64 << 20  # of a message to a server
CLIENT_BYTES = 16 << 20  # of a message to a client
METADATA_BYTES = 1 << 20  # of the first message of a connection
DEPTH = 16  # of maps and lists in one another
ITEMS = 4 << 10  # of one map or list: room for them is made before they are read
VALUES = 64 << 10  # of a message's maps and lists together
TEXT_BYTES = 64 << 10  # of one string
ERROR_BYTES = 2 << 10  # of what is said of a fault
CONNECTIONS = 64  # to one server
PIXELS = 16 << 20  # of one picture, and of all packed pictures of a message together

PATH = re.compile(r"(?:[A-Za-z]:)?[/\\][^\s'\"]+[/\\]")


class WireError(ValueError):
    """A message that is no message of its protocol; the text is one line."""


def told(text: object) -> str:
    """A peer's text, or ours about a fault, as one line without control characters and folders.

    It says of a machine's fault that it is one.
    """
    blamed = "InfrastructureFailure: " if isinstance(text, InfrastructureFailure) else ""
    words = " ".join(f"{blamed}{text}".split())
    plain = "".join(c for c in words if unicodedata.category(c)[0] != "C")
    return PATH.sub("", plain).encode()[:ERROR_BYTES].decode(errors="ignore")


def shown(value: object) -> str:
    """A peer's value in a few words, however large it is."""
    if isinstance(value, str | bytes):
        return repr(value[:40])
    if value is None or isinstance(value, bool | int | float):
        return "nothing" if value is None else repr(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, list) and len(value) <= 8 and all(type(n) is int for n in value):
        return repr(value)
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
