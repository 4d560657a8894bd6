"""Success against training compute, where a run holds one policy at several ages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis import drawing
from analysis.drawing import INK, PENS
from analysis.pairing import LOST, Asked
from analysis.report.conditions import ConditionRow
from analysis.report.score import Score
from wambench.cells import PolicyChoice

SIZE_INCHES = (6.4, 3.8)


@dataclass(frozen=True)
class Age:
    """A policy after so many optimiser steps, on the cells that all its ages finished."""

    label: str
    step: int
    training_flops: int | None
    cpu_minutes: float | None
    score: Score


def curves(
    asked: Asked,
    conditions: Sequence[ConditionRow],
    choices: Mapping[str, PolicyChoice],
) -> Mapping[str, Sequence[Age]]:
    """Policy name -> its ages, youngest first; only names that occur at two ages or more.

    Of labels of one age the one with the fewest options counts: others are variants of it.
    """
    by_name: dict[str, dict[int, ConditionRow]] = {}
    for row in sorted(conditions, key=lambda row: len(choices[row.policy].options)):
        if "step" in row.trained:
            by_name.setdefault(choices[row.policy].name, {}).setdefault(row.trained["step"], row)
    return {
        name: _ages(asked, [ages[step] for step in sorted(ages)])
        for name, ages in by_name.items()
        if len(ages) > 1
    }


def _ages(asked: Asked, rows: Sequence[ConditionRow]) -> Sequence[Age]:
    ended = asked[[row.policy for row in rows]]
    common = ended[(ended >= LOST).all(axis=1)]
    return [
        Age(
            label=row.policy,
            step=row.trained["step"],
            training_flops=row.training_flops,
            cpu_minutes=row.cpu_minutes,
            score=Score.counted(int(common[row.policy].sum()), len(common)),
        )
        for row in rows
    ]


def draw(found: Mapping[str, Sequence[Age]]) -> str:
    """Success over training FLOPs (over steps where no one knows them) as an ``<svg>`` element."""
    from matplotlib.figure import Figure

    counted = all(age.training_flops for ages in found.values() for age in ages)
    with drawing.settings("learning"):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        places: list[float] = []
        for pen, (name, ages) in zip(PENS, found.items(), strict=False):
            x = [(age.training_flops or 0) / 1e15 if counted else age.step for age in ages]
            axes.plot(
                x, [100 * (age.score.rate or 0) for age in ages],
                color=pen.colour, marker=pen.marker, linestyle=pen.line, label=name,
            )  # fmt: skip
            places += x
            axes.vlines(
                x, [100 * age.score.low for age in ages], [100 * age.score.high for age in ages],
                color=pen.colour, linewidth=0.8,
            )  # fmt: skip
        drawing.logarithmic(axes, places)
        axes.set_ylim(0, 102)
        axes.set_xlabel("training compute, PFLOPs" if counted else "optimiser steps")
        axes.set_ylabel("success, %")
        axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
        drawing.legend(figure)
        drawing.plain(axes)
        words = "; ".join(
            f"{name} {100 * (ages[0].score.rate or 0):.0f} % to "
            f"{100 * (ages[-1].score.rate or 0):.0f} %"
            for name, ages in found.items()
        )
        return drawing.as_svg(figure, "learning", f"Success against training compute: {words}")
