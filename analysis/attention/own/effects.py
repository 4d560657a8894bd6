"""What each part of the picture does to the action: blank it, and see how far the action moves.

Occlusion as of Zeiler & Fergus (2014, arXiv:1311.2901), with the distance between action chunks in
the place of a class's probability. Attention says what is read; this says what matters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.attention.causal import blanked
from analysis.attention.own.looks import Look, Token
from wambench.attention import Attention
from wambench.contract import Observation
from wambench.policy import Policy

MOST_UNITS = 32
"""Of a camera: where it has more tokens, square blocks of them are blanked together."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """One moment.

    Attributes:
        look: the moment, and what was read at it.
        moved: camera -> [r, c], the mean absolute change of the chunk, in its own units, where that
            block of tokens is painted over in the mean colour of its camera's image.
        bare: camera -> [R, C], attention where all cameras are painted over.
    """

    look: Look
    moved: Mapping[str, Floats]
    bare: Mapping[str, Floats]


def side_of(rows: int, columns: int) -> int:
    """The side of the smallest square blocks of which a grid has at most ``MOST_UNITS``."""
    side = 1
    while -(-rows // side) * -(-columns // side) > MOST_UNITS:
        side += 1
    return side


def units(attention: Attention) -> Mapping[str, Sequence[Sequence[Token]]]:
    """Camera -> the tokens of each block, block by block along its rows."""
    return {
        camera: [
            [
                (camera, row, column)
                for row in range(top, min(top + side, grid.rows))
                for column in range(left, min(left + side, grid.columns))
            ]
            for top in range(0, grid.rows, side)
            for left in range(0, grid.columns, side)
        ]
        for camera, grid in attention.cameras.items()
        for side in [side_of(grid.rows, grid.columns)]
    }


def summed(weights: Floats) -> Floats:
    """[R, C] of tokens -> [r, c] of blocks: the sum over each."""
    side = side_of(*weights.shape)
    rows = np.add.reduceat(weights, range(0, weights.shape[0], side), axis=0)
    return np.add.reduceat(rows, range(0, weights.shape[1], side), axis=1)


def spread(blocks: Floats, shape: tuple[int, ...]) -> Floats:
    """[r, c] of blocks -> [R, C] of tokens: each block shared out evenly."""
    side = side_of(*shape)
    every = blocks / summed(np.ones(shape))
    return every.repeat(side, axis=0).repeat(side, axis=1)[: shape[0], : shape[1]]


def moved(
    policy: Policy, seen: Observation, attention: Attention, whole: NDArray[np.floating]
) -> Mapping[str, Floats]:
    """Blank every block by itself; see :class:`Effect`. ``whole``: the answer to ``seen``."""
    blocks = units(attention)
    every = [block for those in blocks.values() for block in those]
    asked = [without(seen, attention, block) for block in every]
    size = policy.spec.max_batch
    answers: list[Any] = []
    for start in range(0, len(asked), size):
        answers += policy.act(asked[start : start + size])
    gaps = [float(np.abs(np.asarray(answer) - whole).mean()) for answer in answers]
    found, start = {}, 0
    for camera, those in blocks.items():
        shape = summed(np.zeros(attention.cameras[camera][:2])).shape
        found[camera] = np.array(gaps[start : start + len(those)]).reshape(shape)
        start += len(those)
    return found


def without(seen: Observation, attention: Attention, tokens: Sequence[Token]) -> Observation:
    """An observation with some tokens painted over."""
    return dataclasses.replace(seen, images=blanked(seen.images, attention, tokens))


def bare(seen: Observation) -> Observation:
    """An observation whose cameras each show one colour, their own mean."""
    images = {
        camera: np.broadcast_to(image.mean(axis=(0, 1)).round().astype(image.dtype), image.shape)
        for camera, image in seen.images.items()
    }
    return dataclasses.replace(seen, images={c: i.copy() for c, i in images.items()})
