"""Success against latency, and what becomes of the order of policies at their own cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis import drawing
from analysis.drawing import INK, PENS
from analysis.report.thinking.costs import CostTable
from analysis.report.thinking.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
WIDTH_INCHES, ROW_INCHES, LEGEND_INCHES = 6.8, 2.1, 0.6
APART = 0.008  # of the axis, between rules at one latency


def draw_curves(curves: Sequence[Curve]) -> str:
    """A panel for each policy, a line for each rule, as an ``<svg>`` element."""
    policies = list(dict.fromkeys(curve.policy for curve in curves))
    rules = list(dict.fromkeys(curve.rule for curve in curves))
    longest = max(point.latency_ms for curve in curves for point in curve.points)
    with drawing.settings("thinking"):
        figure, panels = _panels(len(policies))
        for axes, policy in zip(panels, policies, strict=True):
            for curve in (one for one in curves if one.policy == policy):
                number = rules.index(curve.rule)
                pen = PENS[number % len(PENS)]
                aside = APART * longest * (number - (len(rules) - 1) / 2)
                points = [point for point in curve.points if point.score.episodes]
                at = [point.latency_ms + aside for point in points]
                rates = [100 * (point.score.rate or 0) for point in points]
                axes.vlines(
                    at, [100 * point.score.low for point in points],
                    [100 * point.score.high for point in points],
                    color=pen.colour, linewidth=0.7,
                )  # fmt: skip
                axes.plot(
                    at, rates, color=pen.colour, marker=pen.marker, linestyle=pen.line,
                    markersize=4, linewidth=1.3,
                )  # fmt: skip
            axes.set_xlim(-0.04 * longest, 1.04 * longest)
            _plain(axes, policy)
        for number, rule in enumerate(rules):
            pen = PENS[number % len(PENS)]
            panels[0].plot(
                [], [], color=pen.colour, marker=pen.marker, linestyle=pen.line, label=rule
            )
        figure.supxlabel("ms of a decision", fontsize=10, color=INK)
        drawing.legend(figure, columns=6)
        words = "; ".join(
            f"{curve.policy} {curve.rule} "
            + ", ".join(
                f"{100 * (point.score.rate or 0):.0f} % at {point.latency_ms:g} ms"
                for point in curve.points
            )
            for curve in curves
        )
        return drawing.as_svg(figure, "thinking", f"Success against latency: {words}")


def draw_costs(tables: Sequence[CostTable]) -> str:
    """A panel for each kind, place and rule: policies at 0 ms, left, and at their own cost."""
    policies = list(dict.fromkeys(row.policy for table in tables for row in table.rows))
    with drawing.settings("own-cost"):
        figure, panels = _panels(len(tables))
        named = set()
        for axes, table in zip(panels, tables, strict=True):
            for row in table.rows:
                number = policies.index(row.policy)
                pen = PENS[number % len(PENS)]
                axes.plot(
                    [0, 1], [100 * (row.free.rate or 0), 100 * (row.own.rate or 0)],
                    color=pen.colour, marker=pen.marker, linestyle=pen.line, markersize=5,
                    linewidth=1.3, label=None if row.policy in named else row.policy,
                )  # fmt: skip
                named.add(row.policy)
            axes.set_xlim(-0.2, 1.2)
            _plain(axes, f"{table.source}: {table.where}\n{table.rule}")
            axes.set_xticks([0, 1], ["0 ms", "own cost"])
        drawing.legend(figure)
        words = "; ".join(
            f"{table.source}, {table.where}, {table.rule}: "
            + ", ".join(
                f"{row.policy} {100 * (row.free.rate or 0):.0f} % to "
                f"{100 * (row.own.rate or 0):.0f} % at {row.latency_ms:.0f} ms"
                for row in table.rows
            )
            for table in tables
        )
        return drawing.as_svg(figure, "own-cost", f"Success at 0 ms and at own cost: {words}")


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """So many panels that share their axes, rows of :data:`COLUMNS`."""
    from matplotlib.figure import Figure

    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * rows + LEGEND_INCHES), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    figure.supylabel("success, %", fontsize=10, color=INK)
    return figure, list(grid.flat[:count])


def _plain(axes: Axes, title: str) -> None:
    axes.set_ylim(0, 102)
    axes.set_title(title, fontsize=9, color=INK)
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
    drawing.plain(axes)
