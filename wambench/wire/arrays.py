"""Arrays from bytes: kinds from a fixed list, sizes that agree, always a copy of our own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench.wire.limits import WireError, shown

KINDS = frozenset(
    ["|b1", "|i1", "|u1"]
    + [f"{order}{kind}" for order in "<>" for kind in ("i2", "i4", "i8", "u2", "u4", "u8")]
    + [f"{order}{kind}" for order in "<>" for kind in ("f2", "f4", "f8")]
)
DIMENSIONS = 8


def array(data: object, dtype: object, shape: object) -> NDArray[Any]:
    """A writable array in native byte order.

    Args:
        data: bytes in C order.
        dtype: numpy's string of it, one of ``KINDS``. Objects (whose bytes would be taken for
            pointers), records, dates and texts are not among them.
        shape: a list of at most eight lengths, whose product is that of ``data``.

    Raises:
        WireError: anything else.
    """
    if not isinstance(data, bytes) or not isinstance(dtype, str) or not isinstance(shape, list):
        raise WireError("an array without data, dtype and shape")
    if dtype not in KINDS:
        raise WireError(f"an array of dtype {shown(dtype)}; only numbers and booleans may be sent")
    if len(shape) > DIMENSIONS or any(type(n) is not int or n < 0 for n in shape):
        raise WireError(f"an array of shape {shown(shape)}")
    kind = np.dtype(dtype)
    if math.prod(shape) * kind.itemsize != len(data):
        raise WireError(f"{len(data)} bytes for an array {shape} of {dtype}")
    try:
        return np.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="))
    except (ValueError, OverflowError):  # none of one length, more than there are of another
        raise WireError(f"an array of shape {shape}") from None


def number(data: object, dtype: object) -> np.generic:
    """A numpy scalar; WireError for other kinds."""
    if not isinstance(dtype, str) or dtype not in KINDS or not isinstance(data, int | float):
        raise WireError(f"a number of dtype {shown(dtype)}")
    try:
        with np.errstate(over="raise"):
            return np.dtype(dtype).type(data)
    except (OverflowError, FloatingPointError):
        raise WireError(f"a number that {dtype} does not hold") from None
