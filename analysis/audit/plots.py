"""How ratios depend on what was chosen, as curves."""

from __future__ import annotations

from analysis import drawing
from analysis.audit.sensitivity import Curve
from analysis.drawing import INK, PENS

SERIES = dict(zip(("FastWAM-IDM", "FastWAM-joint", "FastWAM (plain)"), PENS, strict=False))
SIZE_INCHES = (5.2, 3.4)
CLAIMED = 6.0


def draw(curve: Curve, claimed: float = CLAIMED) -> str:
    """One curve as an ``<svg>`` element: ratios on a logarithmic axis, the claim as a line.

    Args:
        curve: what to draw.
        claimed: how many times less the editor is said to need.
    """
    from matplotlib.figure import Figure  # no pyplot: nothing global is touched
    from matplotlib.ticker import FuncFormatter, NullFormatter

    with drawing.settings(curve.name):
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
        axes.axvline(curve.released, color=INK, linewidth=0.6, alpha=0.6)
        axes.set_xticks(curve.at, [f"{at:.0f}" for at in curve.at], fontsize=9)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low * 0.7 < t < high * 1.5]
        axes.set_yticks(ticks)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel(curve.axis)
        axes.set_ylabel("FLOPs / ImageWAM's")
        drawing.legend(figure)
        drawing.plain(axes)
        return drawing.as_svg(figure, curve.name, alt(curve))


def alt(curve: Curve) -> str:
    """The drawing in words."""
    ends = "; ".join(
        f"{name} {ratios[0]:.2g} to {ratios[-1]:.2g}" for name, ratios in curve.ratios.items()
    )
    return f"FLOPs over ImageWAM's; {curve.axis}, {curve.at[0]:g} to {curve.at[-1]:g}: {ends}"
