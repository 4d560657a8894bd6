"""vla-eval's dialect: numbered frames, arrays marked by keys of text, pictures packed as PNG.

The client speaks first. Every frame is a map of ``type``, ``payload``, ``seq`` and ``timestamp``,
in this order; an answer repeats the ``seq`` of its question. (vla-eval 0.8.0; bytes as since 0.1.)
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgpack
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wambench.wire.arrays import KINDS, array
from wambench.wire.limits import PIXELS, WireError, shown
from wambench.wire.packed import unpack

ARRAY, PICTURE = "__ndarray__", "__image__"
FORMATS = {"png": "PNG", "jpeg": "JPEG"}
CHANNELS = (1, 3, 4)  # of the last of three dimensions: then uint8 is a picture
JPEG_QUALITY = 95
PROTOCOL_VERSION = 1
Packing = Literal["png", "jpeg", "raw"]

Type = Literal["hello", "observation", "action", "episode_start", "episode_end", "error"]
TYPES = ("hello", "observation", "action", "episode_start", "episode_end", "error")


@dataclass(frozen=True)
class Frame:
    """One message."""

    type: Type
    payload: Mapping[str, Any]
    seq: int
    timestamp: float

    @classmethod
    def now(cls, type: Type, payload: Mapping[str, Any], seq: int) -> Frame:
        """A frame of this moment."""
        return cls(type, payload, seq, time.time())


def encode(frame: Frame, packing: Packing = "png") -> bytes:
    """Pack a frame; WireError for what has no place on the wire."""

    def marked(value: object) -> Any:
        if isinstance(value, np.ndarray):
            return _marked(value, packing)
        if isinstance(value, np.number | np.bool_):
            return value.item()
        raise WireError(f"a {type(value).__name__} cannot be sent")

    fields = {
        "type": frame.type, "payload": dict(frame.payload), "seq": frame.seq,
        "timestamp": frame.timestamp,
    }  # fmt: skip
    packed: bytes = msgpack.packb(fields, default=marked)
    return packed


def decode(message: bytes, most: int) -> Frame:
    """Unpack a message of at most ``most`` bytes; WireError for what no peer should send."""
    found = unpack(message, _Unmarking(), most)
    if not isinstance(found, Mapping):
        raise WireError(f"a frame must be a map, not a {type(found).__name__}")
    for name, kind in (("type", str), ("payload", Mapping), ("seq", int), ("timestamp", float)):
        if not isinstance(found.get(name), kind) or isinstance(found[name], bool):
            raise WireError(f"a frame with {name} {shown(found.get(name))}")
    if found["type"] not in TYPES:
        raise WireError(f"a frame of type {shown(found['type'])}")
    return Frame(found["type"], found["payload"], found["seq"], found["timestamp"])


def _marked(value: NDArray[Any], packing: Packing) -> Mapping[str, Any]:
    shape = list(value.shape)
    if value.dtype.str not in KINDS:
        raise WireError(f"dtype {value.dtype} cannot be sent")
    is_picture = value.dtype == np.uint8 and len(shape) == 3 and shape[-1] in CHANNELS
    if not is_picture or packing == "raw":
        return {ARRAY: True, "data": value.tobytes(), "dtype": value.dtype.str, "shape": shape}
    file = io.BytesIO()
    drawn = Image.fromarray(value[..., 0] if shape[-1] == 1 else value)
    drawn.save(file, FORMATS[packing], **({"quality": JPEG_QUALITY} if packing == "jpeg" else {}))
    return {PICTURE: True, "format": packing, "data": file.getvalue(), "shape": shape}


class _Unmarking:
    """Marked maps of one message as arrays; a picture's few bytes may unpack to very many."""

    def __init__(self) -> None:
        self._pixels = PIXELS

    def __call__(self, found: Mapping[Any, Any]) -> Any:
        if any(isinstance(key, bytes) for key in found):
            raise WireError("a map with a key of bytes, as openpi's protocol has them")
        data, shape, kind = found.get("data"), found.get("shape"), found.get("format")
        if ARRAY in found or (PICTURE in found and kind == "raw"):
            return array(data, found.get("dtype"), shape)
        if PICTURE not in found:
            return found
        if kind not in ("png", "jpeg") or not isinstance(data, bytes):
            raise WireError(f"a picture of format {shown(kind)}")
        if not isinstance(shape, list) or len(shape) != 3 or shape[2] not in CHANNELS:
            raise WireError(f"a picture of shape {shown(shape)}")
        if any(type(n) is not int or n < 1 for n in shape):
            raise WireError(f"a picture of shape {shown(shape)}")
        self._pixels -= math.prod(shape[:2])
        if self._pixels < 0:
            raise WireError(f"pictures up to {shape} in one message; {PIXELS} pixels are allowed")
        return _picture(FORMATS[kind], data, shape)


def _picture(kind: str, data: bytes, shape: list[int]) -> NDArray[np.uint8]:
    """Decode a picture of the very format and size that are declared."""
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as opened:
            if opened.size != (shape[1], shape[0]):
                raise WireError(f"a picture of {opened.size[::-1]} pixels that says {shape}")
            pixels = np.array(opened)
    except WireError:
        raise
    except Exception as error:  # the library raises many kinds for a broken picture
        raise WireError(f"a {kind} that cannot be read ({type(error).__name__})") from None
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if list(pixels.shape) != shape or pixels.dtype != np.uint8:
        raise WireError(f"a picture {list(pixels.shape)} that says {shape}")
    return pixels
