"""What the tokens of an observation stand for, and who wants to know.

Cameras are found in a picture by drawing it: a layout that is never declared cannot be out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wambench.attention import Grid, Listen, Token

Picture = NDArray[np.uint8]
Mosaic = Callable[[list[Picture]], Picture]

PROPRIO, ACTION, OTHER = Token("proprio"), Token("action"), Token("other")


class View(NamedTuple):
    """Image tokens of the present, in the model's order, and the grid of each camera."""

    tokens: Sequence[Token]
    cameras: Mapping[str, Grid]


def separate(cameras: Sequence[str], rows: int, columns: int, margin: float = 0.0) -> View:
    """One image after the other, row by row.

    Args:
        cameras: in the order in which the model takes them.
        rows: of the tokens of one image.
        columns: likewise.
        margin: share of the image's height and width that is cut off at each of its edges.
    """
    tokens = [
        Token("image", camera, 0, row, column)
        for camera in cameras
        for row in range(rows)
        for column in range(columns)
    ]
    grid = Grid(rows, columns, margin, margin, 1 - margin, 1 - margin)
    return View(tokens, dict.fromkeys(cameras, grid))


def in_one_picture(
    mosaic: Mosaic, cameras: Sequence[str], image_size: tuple[int, int], rows: int, columns: int
) -> View:
    """All cameras in one picture, whose tokens are taken row by row.

    A token belongs to the camera that its centre shows. A camera that no centre shows has no grid.

    Args:
        mosaic: as the policy makes its picture [H, W, 3] of images [h, w, 3].
        cameras: in the order in which ``mosaic`` takes them.
        image_size: (h, w) in pixels.
        rows: of the picture's tokens.
        columns: likewise.
    """
    tokens, grids = [OTHER] * (rows * columns), {}
    for camera in cameras:
        is_shown = _shown(mosaic, cameras, image_size, camera)
        tall, wide = is_shown.shape[0] / rows, is_shown.shape[1] / columns  # of a token, in pixels
        down = ((np.arange(rows) + 0.5) * tall).astype(int)
        right = ((np.arange(columns) + 0.5) * wide).astype(int)
        own = np.argwhere(is_shown[np.ix_(down, right)])
        if not len(own):
            continue
        first, count = own.min(axis=0), np.ptp(own, axis=0) + 1
        for row, column in own:
            place = (int(row - first[0]), int(column - first[1]))
            tokens[row * columns + column] = Token("image", camera, 0, *place)
        pixels = np.argwhere(is_shown)
        corner, size = pixels.min(axis=0), np.ptp(pixels, axis=0) + 1
        start = (first * (tall, wide) - corner) / size
        end = ((first + count) * (tall, wide) - corner) / size
        grids[camera] = Grid(*map(int, count), *map(float, start), *map(float, end))
    return View(tokens, grids)


def _shown(
    mosaic: Mosaic, cameras: Sequence[str], image_size: tuple[int, int], camera: str
) -> NDArray[np.bool_]:
    """Which pixels of the picture [H, W] show a camera: those that are bright if it alone is."""
    images = [np.full((*image_size, 3), 255 * (name == camera), np.uint8) for name in cameras]
    return mosaic(images)[..., 0] > 127


@dataclass(frozen=True)
class Labels:
    """What the tokens of one observation stand for.

    ``words``: of its text tokens, "" for one that is no text.
    """

    words: Sequence[str]
    view: View

    def text(self, count: int) -> list[Token]:
        """Its text tokens, padded to ``count``."""
        named = [Token("text", word) if word else OTHER for word in self.words]
        return named + [OTHER] * (count - len(named))

    def image(self, frame: int = 0) -> list[Token]:
        """Its image tokens, or those of an imagined frame."""
        if frame == 0:
            return list(self.view.tokens)
        return [
            token._replace(kind="imagined", frame=frame) if token.kind == "image" else token
            for token in self.view.tokens
        ]


@dataclass(frozen=True)
class Reader:
    """Who is told of the readings of one inference, and the labels that readings need."""

    listen: Listen
    labels: Labels


class Watch:
    """Who listens to a policy; each policy has one."""

    def __init__(self) -> None:
        self._listen: Listen | None = None

    @contextmanager
    def watch(self, listen: Listen) -> Iterator[None]:
        """See :attr:`wambench.attention.Attention.watch`."""
        before, self._listen = self._listen, listen
        try:
            yield
        finally:
            self._listen = before

    def reader(self, labels: Callable[[], Labels]) -> Reader | None:
        """For the state of an inference that begins; None, without labels, if nobody listens."""
        return Reader(self._listen, labels()) if self._listen else None
