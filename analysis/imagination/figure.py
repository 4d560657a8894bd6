"""What a policy imagined beside what then happened: a column a moment, for papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.imagination.moments import Moment

EACH = 3  # moments of successes, and of failures
CELL_INCHES = 1.25
DPI = 200
INK = "#16191d"
WORST = 128  # of 255: the error that is drawn darkest

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Pictured:
    """A moment and its futures at the last offset, of one camera: uint8 [H, W, 3], upright."""

    title: str
    present: Frame
    imagined: Frame
    executed: Frame
    expert: Frame | None

    def rows(self) -> Sequence[tuple[str, Frame | None]]:
        """Name and picture of each row, from top to bottom."""
        return [
            ("present", self.present),
            ("imagined", self.imagined),
            ("executed", self.executed),
            ("expert", self.expert),
            ("imagined - executed", error_map(self.imagined, self.executed)),
        ]


def chosen(moments: Sequence[Moment]) -> Sequence[int]:
    """Numbers of the moments to be drawn: of ``EACH`` episodes of either outcome the middle one."""
    out: list[int] = []
    for is_won in (True, False):
        episodes: dict[str, list[int]] = {}
        for number, moment in enumerate(moments):
            if (moment.episode.outcome == "success") == is_won:
                episodes.setdefault(moment.episode.cell.key, []).append(number)
        out += [numbers[len(numbers) // 2] for numbers in list(episodes.values())[:EACH]]
    return out


def error_map(imagined: Frame, true: Frame) -> Frame:
    """Mean absolute difference of the channels [H, W, 3], white where there is none."""
    gap = np.abs(imagined.astype(np.float64) - true).mean(axis=2) / WORST
    return np.repeat((255 * (1 - gap.clip(0, 1))).round().astype(np.uint8)[..., None], 3, axis=2)


def draw(pictured: Sequence[Pictured], title: str, path: Path) -> None:
    """Write one policy's figure."""
    from matplotlib.figure import Figure

    rows = len(pictured[0].rows())
    size = CELL_INCHES * (len(pictured) + 0.5), CELL_INCHES * rows + 0.8
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, fontsize=9, color=INK)
    grid = figure.subplots(rows, len(pictured), squeeze=False)
    for column, one in enumerate(pictured):
        for axes, (name, frame) in zip(grid[:, column], one.rows(), strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            if frame is not None:
                axes.imshow(frame)
            if column == 0:
                axes.set_ylabel(name, fontsize=7, color=INK)
        grid[0][column].set_title(one.title, fontsize=7, color=INK)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
