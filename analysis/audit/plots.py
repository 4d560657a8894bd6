"""Curves as SVG that takes its colours from the page, so that it suits light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

from analysis.audit.sensitivity import Curve

INK = "#010203"  # stands for the page's ink until the drawing is done
SERIES = {
    "FastWAM-IDM": ("#010204", "o", "-"),
    "FastWAM-joint": ("#010205", "s", "--"),
    "FastWAM (plain)": ("#010206", "^", "-."),
}
"""Series -> stand-in colour, marker, line; no two are told apart by colour alone."""

_COLOURS: Mapping[str, str] = {INK: "currentColor"} | {
    colour: f"var(--series-{i})" for i, (colour, _, _) in enumerate(SERIES.values(), start=1)
}
SIZE_INCHES = (5.2, 3.4)
CLAIMED = 6.0


def draw(curve: Curve, claimed: float = CLAIMED) -> str:
    """One curve as an ``<svg>`` element: ratios on a logarithmic axis, the claim as a line.

    Args:
        curve: what to draw.
        claimed: how many times less the editor is said to need.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure  # no pyplot: nothing global is touched
    from matplotlib.ticker import FuncFormatter, NullFormatter

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": curve.name, "font.size": 10}):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for name, (colour, marker, line) in SERIES.items():
            axes.plot(
                curve.at,
                curve.ratios[name],
                color=colour,
                marker=marker,
                linestyle=line,
                label=name,
            )
        axes.set_yscale("log")
        if curve.name in ("steps", "text"):
            axes.set_xscale("log")
        low, high = (end(end(r) for r in curve.ratios.values()) for end in (min, max))
        axes.set_ylim(min(low, 0.5) * 0.8, max(high, claimed) * 1.5)
        for level, words, at in (
            (1.0, "as much as ImageWAM", 1.0),
            (claimed, f"the claim: {claimed:g} x", 0.01),
        ):
            axes.axhline(level, color=INK, linewidth=0.8, linestyle=":")
            axes.annotate(
                words, (at, level), xycoords=("axes fraction", "data"), va="bottom",
                ha="right" if at == 1 else "left",
                fontsize=9, color=INK,
            )  # fmt: skip
        axes.axvline(curve.released, color=INK, linewidth=0.6, alpha=0.4)
        axes.set_xticks(curve.at, [f"{at:.0f}" for at in curve.at], fontsize=9)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low * 0.7 < t < high * 1.5]
        axes.set_yticks(ticks)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel(curve.axis)
        axes.set_ylabel("FLOPs / ImageWAM's")
        figure.legend(
            frameon=False, fontsize=9, loc="outside upper center", ncols=3, labelcolor=INK
        )
        for item in (*axes.spines.values(),):
            item.set_color(INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(which="both", colors=INK)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _inline(out.getvalue(), curve)


def _inline(svg: str, curve: Curve) -> str:
    """Cut everything an ``<svg>`` in a page does not need: preamble, metadata, name spaces."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    for stand_in, colour in _COLOURS.items():
        svg = svg.replace(stand_in, colour)
    # Ids of several drawings meet in one page.
    svg = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{curve.name}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{alt(curve)}"', 1)


def alt(curve: Curve) -> str:
    """The drawing in words."""
    ends = "; ".join(
        f"{name} {ratios[0]:.2g} to {ratios[-1]:.2g}" for name, ratios in curve.ratios.items()
    )
    return f"FLOPs over ImageWAM's; {curve.axis}, {curve.at[0]:g} to {curve.at[-1]:g}: {ends}"
