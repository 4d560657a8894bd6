"""What the figures share: axes without marks, the scale of colours, outlines of regions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.attention import paint
from analysis.attention.regions import region
from analysis.attention.scenes import Moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
CELL_INCHES = 1.25
OUTLINES = {"object": "#ffffff", "goal": "#ffd166", "change": "#00e5ff"}
INK = "#16191d"


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path


def pictures(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Rows of axes for pictures, without marks."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    size = (0.9 + CELL_INCHES * columns, 0.7 + CELL_INCHES * rows)
    tight = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=size, layout=tight)
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.ravel():
        one.set(xticks=[], yticks=[])
        one.spines[:].set_visible(False)
    return figure, [list(row) for row in axes]


def single(width: float, height: float) -> tuple[Figure, Axes]:
    """One pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def panels(
    columns: int, width: float, height: float, rows: int = 1
) -> tuple[Figure, list[list[Axes]]]:
    """Rows of axes for curves and bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.6 + width * columns, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def scale(figure: Figure, end: float) -> None:
    """A bar that tells what the colours of all pictures mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    bar = figure.colorbar(
        ScalarMappable(LogNorm(1 / end, end), paint.COLOURS), ax=figure.axes, shrink=0.6, aspect=30,
        location="right",
    )  # fmt: skip
    ticks(bar, end)
    bar.set_label("attention over\nthe mean image token's", fontsize=8, color=INK)


def ticks(bar: Any, end: float) -> None:
    """Marks at halves and doubles."""
    marks = [mark for mark in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8) if 1 / end <= mark <= end]
    names: Mapping[float, str] = {1 / 8: "1/8", 1 / 4: "1/4", 1 / 2: "1/2"}
    bar.set_ticks(marks, labels=[names.get(mark, f"{mark:g}") for mark in marks], fontsize=7)
    bar.minorticks_off()


def outline(axes: Axes, moment: Moment, camera: str) -> None:
    """Draw the borders of the regions."""
    for name, colour in OUTLINES.items():
        mask = region(moment, name, camera)
        if mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors=[colour], linewidths=0.8)


def legend(figure: Figure) -> None:
    """Say which border is which."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colour, linewidth=1.5) for colour in OUTLINES.values()]
    box = figure.legend(lines, list(OUTLINES), loc="outside lower center", ncols=3, fontsize=7)
    box.get_frame().set(facecolor="#5a6068", linewidth=0)
    for text in box.get_texts():
        text.set_color("#ffffff")
