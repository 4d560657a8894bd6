"""openpi's dialect (and starVLA's): arrays marked by keys of bytes.

A server speaks first: one map of metadata. A request is a map of observations, an answer a map with
``actions``; there are no episodes and no numbers of messages. (openpi-client 0.1.2.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from wambench.wire.arrays import KINDS, array, number
from wambench.wire.limits import WireError
from wambench.wire.packed import unpack

ARRAY, NUMBER = b"__ndarray__", b"__npgeneric__"
FOREIGN = ("__ndarray__", "__image__", b"nd", "nd")  # marks of vla-eval and of msgpack-numpy


def encode(value: object) -> bytes:
    """Pack maps, lists, texts, numbers and arrays; WireError for what has no place on the wire."""
    packed: bytes = msgpack.packb(value, default=_marked)
    return packed


def decode(message: bytes, most: int) -> Any:
    """Unpack a message of at most ``most`` bytes; WireError for what no peer should send."""
    return unpack(message, _unmarked, most)


def _marked(value: object) -> Mapping[bytes, Any]:
    if isinstance(value, np.ndarray):
        _check(value.dtype)
        return {
            ARRAY: True, b"data": value.tobytes(), b"dtype": value.dtype.str,
            b"shape": value.shape,
        }  # fmt: skip
    if isinstance(value, np.generic):
        _check(value.dtype)
        return {NUMBER: True, b"data": value.item(), b"dtype": value.dtype.str}
    raise WireError(f"a {type(value).__name__} cannot be sent")


def _check(dtype: np.dtype[Any]) -> None:
    if dtype.str not in KINDS:
        raise WireError(f"dtype {dtype} cannot be sent")


def _unmarked(found: Mapping[Any, Any]) -> Any:
    if ARRAY in found:
        return array(found.get(b"data"), found.get(b"dtype"), found.get(b"shape"))
    if NUMBER in found:
        return number(found.get(b"data"), found.get(b"dtype"))
    for mark in FOREIGN:
        if mark in found:
            raise WireError(f"an array marked {mark!r}, as another protocol than openpi's does")
    return found
