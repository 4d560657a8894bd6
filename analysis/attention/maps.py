"""From what was read to pictures: maps of cameras, of words, of imagined frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.attention.reduce import Captured, Read
from wambench.attention import Attention, Grid, Token
from wambench.contract import Orientation, orient
from wambench.errors import UserError

Floats = NDArray[np.floating]
View = Literal["mean", "early", "middle", "late", "maximum", "rollout"]
VIEWS: Mapping[View, str] = {
    "mean": "mean of all layers, heads, flow steps and actions",
    "early": "as mean, the first third of the layers",
    "middle": "as mean, the second third of the layers",
    "late": "as mean, the last third of the layers",
    "maximum": "the head that looks most, then as mean",
    "rollout": "attention rollout over the action tokens",
}
THIRDS = ("early", "middle", "late")


def layers_of(view: View, count: int) -> slice:
    """The layers that a view takes; with fewer than three, neighbouring thirds share one."""
    if view not in THIRDS:
        return slice(None)
    third = THIRDS.index(view)
    start = min(count * third // 3, count - 1)
    return slice(start, max(count * (third + 1) // 3, start + 1))


def viewed(
    read: Read,
    view: View = "mean",
    *,
    layer: int | None = None,
    step: int | None = None,
    action: int | None = None,
) -> Floats:
    """Weights [K] of the tokens of one part, seen in one way.

    Args:
        read: of one part.
        view: a key of :data:`VIEWS`.
        layer: this layer alone (of ``mean`` and ``maximum``).
        step: this flow step alone.
        action: this action of the chunk alone.

    Raises:
        UserError: a view the part does not have, a layer, step or action that does not exist.
    """
    if view == "rollout":
        if read.rollout is None:
            raise ValueError("this part has no rollout")
        array = read.rollout[:, None]  # [S, 1, A, K]
    else:
        array = read.maximum if view == "maximum" else read.mean
        array = array[:, layers_of(view, array.shape[1])]
    for axis, (name, index) in enumerate((("step", step), ("layer", layer), ("action", action))):
        if index is None:
            continue
        if not 0 <= index < array.shape[axis]:
            raise UserError(f"no {name} {index}; there are 0 to {array.shape[axis] - 1}")
        array = np.take(array, [index], axis=axis)
    return array.mean(axis=(0, 1, 2), dtype=np.float64)


@dataclass(frozen=True)
class Sight:
    """Weights by what they fall on; together they sum to the number of parts.

    Attributes:
        images: camera -> [rows, columns] of its grid, present frame.
        imagined: (frame, camera) -> the same of an imagined one.
        words: one weight for each word of the instruction, in order.
        shares: kind of token -> its share of everything, all parts alike; sums to 1.
    """

    images: Mapping[str, Floats]
    imagined: Mapping[tuple[int, str], Floats]
    words: Sequence[tuple[str, float]]
    shares: Mapping[str, float]


def sight(captured: Captured, attention: Attention, view: View = "mean", **only: int) -> Sight:
    """Sort weights by camera, frame and word; ``only`` as of :func:`viewed`."""
    images = {camera: np.zeros(grid[:2]) for camera, grid in attention.cameras.items()}
    imagined: dict[tuple[int, str], Floats] = {}
    words: list[tuple[str, float]] = []
    shares: dict[str, float] = {}
    for read in captured.parts.values():
        weights = viewed(
            read, "mean" if view == "rollout" and read.rollout is None else view, **only
        )
        for token, weight in zip(read.tokens, weights, strict=True):
            _put(token, float(weight), attention.cameras, images, imagined, words)
            shares[token.kind] = shares.get(token.kind, 0.0) + float(weight)
    total = sum(shares.values())
    return Sight(images, imagined, words, {kind: share / total for kind, share in shares.items()})


def _put(
    token: Token,
    weight: float,
    cameras: Mapping[str, Grid],
    images: dict[str, Floats],
    imagined: dict[tuple[int, str], Floats],
    words: list[tuple[str, float]],
) -> None:
    if token.kind == "image":
        images[token.name][token.row, token.column] += weight
    elif token.kind == "imagined":
        key = (token.frame, token.name)
        frame = imagined.setdefault(key, np.zeros(cameras[token.name][:2]))
        frame[token.row, token.column] += weight
    elif token.kind == "text":
        words.append((token.name, weight))


def painted(values: ArrayLike, grid: Grid, size: int, orientation: Orientation) -> Floats:
    """Give every pixel of an upright square picture the value of its token; NaN where none is.

    Args:
        values: [rows, columns] of a camera's grid.
        grid: where the tokens lie on the image.
        size: side of the picture in pixels.
        orientation: in which the policy saw the image.

    Returns:
        [size, size].
    """
    row, in_rows = _token_of(grid.rows, grid.top, grid.bottom, size)
    column, in_columns = _token_of(grid.columns, grid.left, grid.right, size)
    out = np.asarray(values, np.float64)[np.ix_(row, column)]
    out[~np.outer(in_rows, in_columns)] = np.nan
    return orient(out, orientation)  # each orientation undoes itself


def density(weights: ArrayLike, grid: Grid, size: int, orientation: Orientation) -> Floats:
    """Spread each token's weight evenly over the pixels it covers; arguments as of :func:`painted`.

    Returns:
        [size, size]; it sums to the sum of ``weights``.
    """
    row, in_rows = _token_of(grid.rows, grid.top, grid.bottom, size)
    column, in_columns = _token_of(grid.columns, grid.left, grid.right, size)
    pixels = np.outer(
        np.bincount(row[in_rows], minlength=grid.rows),
        np.bincount(column[in_columns], minlength=grid.columns),
    )
    per_pixel = np.asarray(weights, np.float64) / np.maximum(pixels, 1)
    return np.nan_to_num(painted(per_pixel, grid, size, orientation))


def covered(marks: ArrayLike, grid: Grid, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels [H, W] of marked tokens [rows, columns], in the orientation the policy sees."""
    row, in_rows = _token_of(grid.rows, grid.top, grid.bottom, size[0])
    column, in_columns = _token_of(grid.columns, grid.left, grid.right, size[1])
    marked = np.asarray(marks, bool)[np.ix_(row, column)]
    return marked & np.outer(in_rows, in_columns)


def _token_of(
    count: int, start: float, end: float, size: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The token [size] that covers each pixel along one side, and whether there is one."""
    place = ((np.arange(size) + 0.5) / size - start) / (end - start)
    return np.clip((place * count).astype(int), 0, count - 1), (place >= 0) & (place < 1)
