"""Drawings that take their colours from the page they are in, so that they suit light and dark."""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"  # stands for the page's ink until the drawing is done


class Pen(NamedTuple):
    """How a series is drawn; ``colour`` stands for the page's ``--series-N``."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]


PENS = (
    Pen("#010204", "o", "-"),
    Pen("#010205", "s", "--"),
    Pen("#010206", "^", "-."),
    Pen("#010207", "D", ":"),
    Pen("#010208", "v", (0, (5, 1))),
    Pen("#010209", "*", (0, (3, 1, 1, 1))),
)
"""No two series are told apart by colour alone."""

_COLOURS = {INK: "currentColor"} | {
    pen.colour: f"var(--series-{i})" for i, pen in enumerate(PENS, start=1)
}


@contextlib.contextmanager
def settings(name: str) -> Iterator[None]:
    """Draw so that text stays text, and equal input gives equal bytes."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10}):
        yield


def plain(axes: Axes) -> None:
    """Ink on nothing: two spines, ticks and labels in the page's ink."""
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic horizontal axis with room on both sides, and ticks at 1, 2 and 5."""
    low, high = min(values) / 1.6, max(values) * 1.6
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.minorticks_off()
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])


def legend(figure: Figure, columns: int = 3, **more: Any) -> None:
    """Names of the series above the axes."""
    figure.legend(
        frameon=False, fontsize=9, loc="outside upper center", ncols=columns, labelcolor=INK, **more
    )


def as_svg(figure: Figure, name: str, words: str) -> str:
    """The figure as an ``<svg>`` element.

    Args:
        figure: drawn with the colours above.
        name: unique in the page: ids of several drawings meet there.
        words: the drawing in words, for those who cannot see it.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    # Everything an <svg> in a page does not need: preamble, metadata, name spaces.
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    for stand_in, colour in _COLOURS.items():
        svg = svg.replace(stand_in, colour)
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(words)}"', 1)
