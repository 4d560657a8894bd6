"""Messages as a broken or hostile peer might send them, made from recorded ones by a number."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from typing import Any

import msgpack
from PIL import Image

CUT = 2000  # bytes that a seed has at most: large pictures would be most of what is mutated
HEADS = bytes([*range(0xC0, 0xE0), 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0, 0xBF])
WITH_LENGTH = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2,
               0xDF: 4}  # fmt: skip


def nested(depth: int, leaf: Any, *, maps: bool) -> Any:
    """A value in lists or maps of one."""
    for _ in range(depth):
        leaf = {"x": leaf} if maps else [leaf]
    return leaf


def marked(key: Any, **fields: Any) -> dict[Any, Any]:
    """A value as an array's map, its keys of the kind of ``key``."""
    cast = (lambda name: name.encode()) if isinstance(key, bytes) else (lambda name: name)
    return {key: True, **{cast(name): value for name, value in fields.items()}}


def _arrays() -> list[Any]:
    dtypes = ["<f4", "|u1", "|O", "<U1", "", "<M8[s]", "f", ">f8", "|b1", "<i4,<i4", "|V8", 3, None]
    shapes = [[], [2], [-1], [0], [1, 2], [1 << 62], [0, 1 << 62], [True], [2.0], "2", [[2]], None]
    datas = [b"", b"\0" * 8, b"\xff" * 8, "text", [1], 3, None]
    keys = [b"__ndarray__", "__ndarray__", b"nd", b"__npgeneric__", "__image__"]
    out = []
    for number, key in enumerate(keys * 30):
        fields = {
            "data": datas[number % 7], "dtype": dtypes[number % 13], "shape": shapes[number % 12],
        }  # fmt: skip
        if key == "__image__":
            fields["format"] = ["png", "jpeg", "raw", "gif", 3, ["png"]][number % 6]
        out.append(marked(key, **fields))
    return out


ODD: list[Any] = [
    None, True, False, 0, -1, 7, 1 << 63, -(1 << 63), 0.5, float("nan"), float("inf"), "", " ",
    "x" * 70_000, "\0\x1b[31m", b"", b"\xff", b"x" * 5000, [], {}, [[]], {"": {}}, {b"": 1},
    {"x": 1, b"x": 2}, [0] * 5000, {str(n): n for n in range(5000)},
    nested(20, 0, maps=False), nested(20, 0, maps=True), nested(600, 0, maps=False),
    msgpack.Timestamp(1, 0), msgpack.ExtType(3, b"x"), msgpack.ExtType(127, b"x" * 12),
    *_arrays(),
]  # fmt: skip


class Mutations:
    """Frame after frame, each from its number alone.

    Args:
        seeds: good messages; those over ``CUT`` bytes are left out.
    """

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._seeds = [seed for seed in seeds if 0 < len(seed) <= CUT]
        self._values = [msgpack.unpackb(s, strict_map_key=False) for s in self._seeds if _opens(s)]
        self._ways = (
            self._bits, self._cut, self._insert, self._head, self._length, self._splice,
            self._swap, self._swap, self._swap,
        )  # fmt: skip

    def __call__(self, number: int) -> bytes:
        """The frame of a number."""
        draw = random.Random(number)
        return draw.choice(self._ways)(draw)

    def _bits(self, draw: random.Random) -> bytes:
        out = bytearray(draw.choice(self._seeds))
        for _ in range(draw.randint(1, 8)):
            out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
        return bytes(out)

    def _cut(self, draw: random.Random) -> bytes:
        seed = draw.choice(self._seeds)
        start, end = sorted((draw.randint(0, len(seed)), draw.randint(0, len(seed))))
        return seed[: start or end] if draw.random() < 0.7 else seed[start:end]

    def _insert(self, draw: random.Random) -> bytes:
        seed = draw.choice(self._seeds)
        at = draw.randint(0, len(seed))
        return seed[:at] + draw.randbytes(draw.randint(1, 9)) + seed[at:]

    def _head(self, draw: random.Random) -> bytes:
        """A byte becomes the head of another type: what follows is read as its length."""
        out = bytearray(draw.choice(self._seeds))
        out[draw.randrange(len(out))] = draw.choice(HEADS)
        return bytes(out)

    def _length(self, draw: random.Random) -> bytes:
        """A declared length becomes another, up to all that its bytes hold."""
        out = bytearray(draw.choice(self._seeds))
        places = [n for n, byte in enumerate(out) if byte in WITH_LENGTH]
        if not places:
            return bytes(out)
        at = draw.choice(places)
        size = WITH_LENGTH[out[at]]
        length = draw.choice([0, 1, 255, 1 << 16, (1 << 31) - 1, (1 << 32) - 1]) % (1 << 8 * size)
        out[at + 1 : at + 1 + size] = length.to_bytes(size, "big")
        return bytes(out)

    def _splice(self, draw: random.Random) -> bytes:
        one, other = draw.choice(self._seeds), draw.choice(self._seeds)
        return one[: draw.randint(0, len(one))] + other[draw.randint(0, len(other)) :]

    def _swap(self, draw: random.Random) -> bytes:
        """One value of a message becomes another of any kind."""
        return bytes(msgpack.packb(_swapped(draw.choice(self._values), draw)))


def _swapped(value: Any, draw: random.Random) -> Any:
    if isinstance(value, dict | list) and value and draw.random() < 0.85:
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        at, out = draw.choice(places), value.copy()
        if isinstance(out, dict) and draw.random() < 0.05:
            out[draw.choice(["", b"x", "wambench/step"])] = out.pop(at)
        else:
            out[at] = _swapped(value[at], draw)
        return out
    return draw.choice(ODD)


def _opens(seed: bytes) -> bool:
    try:
        msgpack.unpackb(seed, strict_map_key=False)
    except Exception:  # a recorded hostile message
        return False
    return True


def pixels(side: int) -> bytes:
    """A PNG of few bytes for very many pixels, all black."""
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "PNG")
    return file.getvalue()
