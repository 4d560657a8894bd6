"""Success against what a decision costs; one drawing per track, which never share an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis import drawing
from analysis.drawing import INK, PENS
from analysis.report.conditions import ConditionRow
from analysis.report.tables import PolicyRow

SIZE_INCHES = (6.8, 3.2)
COSTS = (("MFLOPs of a decision", 1e6), ("ms of a decision, in this run", 1.0))


def draw(
    policies: Sequence[PolicyRow], conditions: Sequence[ConditionRow], labels: Sequence[str]
) -> Mapping[str, str]:
    """Track -> drawing, where a track has two policies or more whose costs are known.

    Args:
        policies: of the run.
        conditions: their costs.
        labels: those to draw; variants of a policy would lie upon it.
    """
    costs = {row.policy: row for row in conditions if row.policy in labels}
    by_track: dict[str, list[PolicyRow]] = {}
    for row in policies:
        found = costs.get(row.policy)
        if found and found.flops and found.decision_ms and row.score.episodes:
            by_track.setdefault(row.track, []).append(row)
    return {track: _draw(track, rows, costs) for track, rows in by_track.items() if len(rows) > 1}


def _draw(track: str, rows: Sequence[PolicyRow], costs: Mapping[str, ConditionRow]) -> str:
    from matplotlib.figure import Figure

    with drawing.settings(f"pareto-{track}"):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        panels = figure.subplots(1, len(COSTS), sharey=True)
        for axes, (name, unit) in zip(panels, COSTS, strict=True):
            places = []
            for number, row in enumerate(rows):
                pen, cost = PENS[number % len(PENS)], costs[row.policy]
                x = ((cost.flops or 0) if "FLOP" in name else (cost.decision_ms or 0)) / unit
                places.append(x)
                axes.plot([x, x], [100 * row.score.low, 100 * row.score.high], color=pen.colour)
                axes.plot(
                    x, 100 * (row.score.rate or 0), pen.marker, color=pen.colour,
                    label=row.policy if axes is panels[0] else None,
                )  # fmt: skip
            drawing.logarithmic(axes, places)
            axes.set_ylim(0, 102)
            axes.set_xlabel(name)
            axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
            drawing.plain(axes)
        panels[0].set_ylabel("success, %")
        drawing.legend(figure)
        words = "; ".join(
            f"{row.policy} {100 * (row.score.rate or 0):.0f} % at "
            f"{(costs[row.policy].flops or 0) / 1e6:.0f} MFLOPs"
            for row in rows
        )
        return drawing.as_svg(figure, f"pareto-{track}", f"Success against cost, {track}: {words}")
