"""Success against the magnitude of a perturbation, a panel for each kind."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import drawing
from analysis.drawing import INK, PENS
from analysis.report.robustness import CurveRow, Robustness

ACROSS = 3
PANEL_INCHES = (2.3, 2.0)


def draw(found: Robustness, number: int) -> str:
    """Panels as one ``<svg>`` element; empty where no kind has two magnitudes.

    Args:
        found: a family of perturbed suites.
        number: of the family in the page.
    """
    from matplotlib.figure import Figure

    panels = _panels(found.curves)
    if not panels:
        return ""
    labels = list(dict.fromkeys(row.policy for row in found.curves))
    down = -(-len(panels) // ACROSS)
    across = min(ACROSS, len(panels))
    with drawing.settings(f"magnitudes-{number}"):
        size = PANEL_INCHES[0] * across, PANEL_INCHES[1] * down + 0.5
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        for axes, ((axis, kind, unit), rows) in zip(grid.flat, panels.items(), strict=False):
            for place, label in enumerate(labels):
                own, pen = [row for row in rows if row.policy == label], PENS[place % len(PENS)]
                at = [((row.low or 0) + (row.high or 0)) / 2 for row in own]
                axes.plot(
                    at, [100 * row.found.perturbed for row in own],
                    color=pen.colour, marker=pen.marker, markersize=4, linestyle=pen.line,
                    label=label if axes is grid.flat[0] else None,
                )  # fmt: skip
                sure = [
                    (x, row.found.perturbed_interval)
                    for x, row in zip(at, own, strict=True)
                    if row.found.perturbed_interval
                ]
                axes.vlines(
                    [x for x, _ in sure], [100 * ends[0] for _, ends in sure],
                    [100 * ends[1] for _, ends in sure], color=pen.colour, linewidth=0.8,
                )  # fmt: skip
            axes.set_title(" ".join(part for part in (axis, kind) if part), fontsize=9, color=INK)
            axes.set_xlabel(unit, fontsize=9)
            axes.set_ylim(0, 102)
            axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
            drawing.plain(axes)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        for row in grid:
            row[0].set_ylabel("success, %", fontsize=9)
        drawing.legend(figure)
        words = "; ".join(
            f"{' '.join(part for part in key[:2] if part)}: {_course(rows, labels)}"
            for key, rows in panels.items()
        )
        return drawing.as_svg(figure, f"magnitudes-{number}", f"Success against magnitude: {words}")


def _panels(
    curves: Sequence[CurveRow],
) -> dict[tuple[str, str, str], list[CurveRow]]:
    """Axis, kind and unit -> its rows, where a policy has two magnitudes or more."""
    found: dict[tuple[str, str, str], list[CurveRow]] = {}
    for row in curves:
        if row.low is not None:
            found.setdefault((row.axis, row.kind, row.unit), []).append(row)
    return {
        key: rows for key, rows in sorted(found.items()) if len({(r.low, r.high) for r in rows}) > 1
    }


def _course(rows: Sequence[CurveRow], labels: Sequence[str]) -> str:
    """From the smallest to the largest magnitude, in words."""
    own = ([row for row in rows if row.policy == label] for label in labels)
    return ", ".join(
        f"{part[0].policy} {100 * part[0].found.perturbed:.0f} to "
        f"{100 * part[-1].found.perturbed:.0f} %"
        for part in own
        if part
    )
