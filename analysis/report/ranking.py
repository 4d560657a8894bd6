"""The critical-difference plot: mean ranks over tasks, and which of them are not told apart."""

from __future__ import annotations

from analysis import drawing
from analysis.drawing import INK
from analysis.statistics import Ranks

WIDTH_INCHES = 6.4
LINE_INCHES = 0.24


def draw(found: Ranks) -> str:
    """Ranks on an axis, a bar under every group that is not told apart, as an ``<svg>`` element.

    After Demšar 2006, J. Machine Learning Research 7:1-30, figure 1.
    """
    from matplotlib.figure import Figure

    labels = list(found.mean_ranks)
    half = -(-len(labels) // 2)
    groups = [group for group in found.groups if len(group) > 1]
    rows = half + len(groups) + 2
    with drawing.settings("ranks"):
        figure = Figure(figsize=(WIDTH_INCHES, LINE_INCHES * rows + 0.5), layout="constrained")
        axes = figure.add_subplot()
        count = len(labels)
        axes.set_xlim(0.2 - 0.35 * count, count + 0.8 + 0.35 * count)
        axes.set_ylim(rows, -1.2)
        axes.plot([1, count], [0, 0], color=INK, linewidth=1)
        for tick in range(1, count + 1):
            axes.plot([tick, tick], [-0.15, 0], color=INK, linewidth=1)
            axes.annotate(f"{tick}", (tick, -0.3), ha="center", va="bottom", fontsize=9, color=INK)
        for number, group in enumerate(groups):
            ends = [found.mean_ranks[label] for label in (group[0], group[-1])]
            axes.plot(ends, [0.5 + number] * 2, color=INK, linewidth=3, solid_capstyle="butt")
        for number, label in enumerate(labels):
            rank, is_left = found.mean_ranks[label], number < half
            level = len(groups) + 1 + (number if is_left else len(labels) - 1 - number)
            edge = 0.8 if is_left else count + 0.2
            axes.plot([rank, rank, edge], [0, level, level], color=INK, linewidth=0.7)
            axes.annotate(
                f"{label} {rank:.2f}", (edge, level), ha="right" if is_left else "left",
                va="center", fontsize=9, color=INK, xytext=(-4 if is_left else 4, 0),
                textcoords="offset points",
            )  # fmt: skip
        axes.set_axis_off()
        words = ", ".join(f"{label} {rank:.2f}" for label, rank in found.mean_ranks.items())
        return drawing.as_svg(figure, "ranks", f"Mean ranks over tasks, 1 is best: {words}")
