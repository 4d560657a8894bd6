"""The recorded course of an episode, and how it is packed.

The snapshots rebuild every frame a camera would have shown; actions and digests prove a replay
bit-identical. Float64 throughout: an episode that cannot be replayed exactly proves nothing.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trace:
    """One episode of T control steps (settling excluded, its end included).

    Attributes:
        actions: float64 [T, A], as executed.
        snapshots: float64 [T + 1, n], what the cameras saw after settling and after each step.
        digests: uint64 [T + 1], hash of the full physical state at the same moments.
    """

    actions: NDArray[np.float64]
    snapshots: NDArray[np.float64]
    digests: NDArray[np.uint64]

    def pack(self) -> bytes:
        """Serialise; about 40 % of the raw size."""
        parts = [_pack(array) for array in (self.actions, self.snapshots, self.digests)]
        return b"".join(struct.pack("<I", len(part)) + part for part in parts)

    @classmethod
    def unpack(cls, blob: bytes) -> Trace:
        """Inverse of :meth:`pack`."""
        parts, start = [], 0
        while start < len(blob):
            (size,) = struct.unpack_from("<I", blob, start)
            parts.append(blob[start + 4 : start + 4 + size])
            start += 4 + size
        actions, snapshots, digests = (_unpack(part) for part in parts)
        return cls(actions.view(np.float64), snapshots.view(np.float64), digests)


def _pack(array: NDArray) -> bytes:
    """Shape, then deflate of the bytes, equal significances together, each row XOR the last.

    Joints at rest repeat their upper bytes from row to row, which XOR turns into zeros.
    """
    words = np.ascontiguousarray(array).view(np.uint64)
    grid = words if words.ndim == 2 else words[:, None]
    changes = grid.copy()
    changes[1:] ^= grid[:-1]
    planes = changes.view(np.uint8).reshape(-1, 8).T
    head = struct.pack("<BII", array.ndim, grid.shape[0], grid.shape[1])
    return head + zlib.compress(np.ascontiguousarray(planes).tobytes(), 6)


def _unpack(part: bytes) -> NDArray[np.uint64]:
    dimensions, rows, columns = struct.unpack_from("<BII", part)
    planes = np.frombuffer(zlib.decompress(part[9:]), np.uint8).reshape(8, -1)
    changes = np.ascontiguousarray(planes.T).view(np.uint64).reshape(rows, columns)
    grid = np.bitwise_xor.accumulate(changes, axis=0)
    return grid if dimensions == 2 else grid[:, 0]
