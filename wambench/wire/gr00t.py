"""GR00T's dialect: arrays as ``.npy`` files within a message, or as msgpack-numpy marks them.

The client speaks first, with maps of ``endpoint`` and ``data``. Servers of N1.5, N1.6 and N1.7 all
read ``.npy``; those of N1.7 may answer in msgpack-numpy's marks. Of both kinds only plain numbers
are read here, and nothing that would be unpickled.
"""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgpack
import numpy as np
from numpy.typing import NDArray

from wambench.wire.arrays import KINDS, array
from wambench.wire.limits import WireError, shown
from wambench.wire.packed import unpack

ARRAY, FILE = "__ndarray_class__", "as_npy"
ND = b"nd"  # true: an array, false: a number
CONFIGS, CONFIG = ("__ModalityConfig_class__", "__ModalityConfig__"), "as_json"
FOREIGN = (b"__ndarray__", "__ndarray__", "__image__", "nd", b"complex")
Packing = Literal["npy", "nd"]

STATE = {"x": 1, "y": 1, "z": 1, "roll": 1, "pitch": 1, "yaw": 1, "gripper": 2}
"""Parts of the state and how many numbers each has; roll, pitch and yaw: the axis-angle."""
ACTION = tuple(STATE)  # of one number each

MAGIC = b"\x93NUMPY\x01\x00"  # of a header below 64 KiB
HEADER_BYTES = 1 << 10  # numpy writes 118, more for numbers that no message could hold
HEADER = re.compile(
    r"\{'descr': '([^']{3})', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \} *\n"
)


def encode(value: object, packing: Packing = "npy") -> bytes:
    """Pack maps, lists, texts, numbers and arrays; WireError for what has no place on the wire."""
    packed: bytes = msgpack.packb(value, default=functools.partial(_marked, packing=packing))
    return packed


def decode(message: bytes, most: int) -> Any:
    """Unpack a message of at most ``most`` bytes; WireError for what no peer should send."""
    return unpack(message, _unmarked, most)


def observation(
    video: Mapping[str, NDArray[np.uint8]], state: NDArray[np.float64], prompt: str, text: str
) -> Mapping[str, Any]:
    """What ``get_action`` is asked about: one robot, one moment.

    Args:
        video: key -> picture [H, W, 3]; becomes [1, 1, H, W, 3].
        state: the numbers of ``STATE`` in its order; become float32 [1, 1, n] each.
        prompt: key of the instruction.
        text: the instruction.
    """
    parts = np.split(state.astype(np.float32), np.cumsum(list(STATE.values()))[:-1])
    return {
        "video": {name: picture[None, None] for name, picture in video.items()},
        "state": {name: part[None, None] for name, part in zip(STATE, parts, strict=True)},
        "language": {prompt: [[text]]},
    }


def chunk(answer: object) -> NDArray[np.floating]:
    """Actions [H, 7] of an answer: of a map, or of a list that begins with one.

    Raises:
        WireError: names the part that is missing or is no column of floats.
    """
    found = answer[0] if isinstance(answer, list) and answer else answer
    if not isinstance(found, Mapping):
        raise WireError(f"actions as {shown(found)}; a map of {', '.join(ACTION)} is expected")
    columns = [_column(name, found.get(name, found.get(f"action.{name}"))) for name in ACTION]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise WireError(f"{lengths} actions for {', '.join(ACTION)}; one number is expected")
    return np.concatenate(columns, axis=1)


def _column(name: str, value: Any) -> NDArray[np.floating]:
    """[H, 1] of [1, H, 1] (robots, time, numbers), [H, 1] or [H]."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        if value.ndim == 3 and len(value) == 1:
            value = value[0]
        column: NDArray[np.floating] = value[:, None] if value.ndim == 1 else value
        if column.ndim == 2 and column.shape[1] == 1:
            return column
    raise WireError(f"{name} as {shown(value)}; floats [1, H, 1] are expected")


def _marked(value: object, packing: Packing) -> Mapping[Any, Any]:
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.str not in KINDS:
        kind = value.dtype if isinstance(value, np.ndarray | np.generic) else type(value).__name__
        raise WireError(f"a {kind} cannot be sent")
    if packing == "nd":
        marks: dict[bytes, Any] = {ND: isinstance(value, np.ndarray), b"type": value.dtype.str}
        if isinstance(value, np.ndarray):
            marks |= {b"kind": b"", b"shape": value.shape}
        return marks | {b"data": value.tobytes()}
    file = io.BytesIO()
    np.save(file, np.array(value, order="C"))
    return {ARRAY: True, FILE: file.getvalue()}


def _unmarked(found: Mapping[Any, Any]) -> Any:
    if ARRAY in found:
        return _npy(found.get(FILE))
    if ND in found:
        if found.get(b"kind", b"") != b"":
            raise WireError(f"an array of kind {shown(found[b'kind'])}; only numbers may be sent")
        shape = found.get(b"shape") if found[ND] else []
        value = array(found.get(b"data"), found.get(b"type"), shape)
        return value if found[ND] else value[()]
    if any(mark in found for mark in CONFIGS):
        return _config(found.get(CONFIG))
    for mark in FOREIGN:
        if mark in found:
            raise WireError(f"a value marked {mark!r}, which is not GR00T's")
    return found


def _npy(file: object) -> NDArray[Any]:
    """The array of a file of numpy's, whose header is read by hand."""
    if not isinstance(file, bytes) or not file.startswith(MAGIC):
        raise WireError("an array that is no .npy file of version 1.0")
    start = len(MAGIC) + 2
    end = start + int.from_bytes(file[len(MAGIC) : start], "little")
    text = file[start:end].decode("latin-1") if end - start <= HEADER_BYTES else ""
    header = HEADER.fullmatch(text)
    if header is None:
        raise WireError(f"an array with the header {shown(text)}")
    kind, fortran, lengths = header.groups()
    if fortran == "True":
        raise WireError("an array in Fortran's order; C's is expected")
    words = lengths.replace(" ", "").removesuffix(",").split(",") if lengths else []
    if not all(words):
        raise WireError(f"an array with the header {shown(text)}")
    return array(file[end:], kind, [int(word) for word in words])


def _config(text: object) -> Any:
    """What a modality is made of: a map, or a text of JSON that holds one."""
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise WireError(f"a modality's configuration that is no map, but {shown(text)}")
    return found
