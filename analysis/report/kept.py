"""Success that variants keep, as dots: what an intervention takes from a policy."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import drawing
from analysis.drawing import INK, PENS
from analysis.report.variants import VariantRow

FEWEST = 3  # variants that are worth a picture
INCHES = (6.4, 0.7, 0.24)  # width; height without and of each row


def draw(rows: Sequence[VariantRow]) -> str:
    """A dot with its interval for each variant, policies apart, as an ``<svg>`` element.

    Empty for fewer than ``FEWEST`` variants that are to be compared.
    """
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.kept.rate is not None]
    if len(shown) < FEWEST:
        return ""
    policies = list(dict.fromkeys(row.found.second for row in shown))
    shown.sort(key=lambda row: policies.index(row.found.second))
    with drawing.settings("kept"):
        size = INCHES[0], INCHES[1] + INCHES[2] * len(shown)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(shown):
            pen = PENS[policies.index(row.found.second) % len(PENS)]
            ends = 100 * row.kept.low, 100 * row.kept.high
            axes.hlines(place, *ends, color=pen.colour, linewidth=1)
            axes.plot(100 * (row.kept.rate or 0), place, pen.marker, color=pen.colour, markersize=5)
        axes.set_yticks(range(len(shown)), [row.found.first for row in shown], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlim(-2, 102)
        axes.set_xlabel("success kept, %")
        axes.grid(axis="x", color=INK, alpha=0.15, linewidth=0.6)
        drawing.plain(axes)
        words = "; ".join(f"{row.found.first} {100 * (row.kept.rate or 0):.0f} %" for row in shown)
        return drawing.as_svg(figure, "kept", f"Success kept: {words}")
