"""A study of imagination beside a run: how much better than a copy, where, and pictures of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import drawing
from analysis.drawing import INK, PENS
from analysis.imagination import consistency, displacement
from analysis.imagination.folder import ImaginedFolder, read_folder
from analysis.report.beside import number_or_none, strangers
from analysis.report.figures import Figure, embedded
from wambench.errors import UserError
from wambench.naming import file_name
from wambench.passport import Passport

REGIONS = {
    "all": "the whole frame",
    "change": "where the true frame differs visibly from the present one",
    "object": "what the task wants moved, then or now",
    "gripper": "the gripper, then or now",
    "goal": "where it is to go, then or now",
}
TRUTHS = {
    "executed": "what the policy's own chunk shows",
    "expert": "what the scripted expert would have shown",
}
DRAWN = ("imagined", "other", "untrained")
FLOOR = -1.5  # of the drawing: what is this much worse than a copy needs no place on a scale
INCHES = (7.2, 0.9, 0.3)  # width; height without and of each policy
BUDGET_BYTES = 700_000  # of all pictures together, so that the page stays below 5 MB


@dataclass(frozen=True)
class Skill:
    """Skill of one prediction in one region, at the farthest frame; None: too few episodes."""

    policy: str
    prediction: str
    truth: str
    region: str
    mean: float
    low: float | None
    high: float | None
    episodes: int

    @property
    def arm(self) -> str:
        """What its row of a table is called."""
        return f"{self.policy}, {self.prediction}"


@dataclass(frozen=True)
class Measured:
    """One measure of one policy, at the farthest frame; None: too few episodes."""

    policy: str
    head: str
    mean: float
    low: float | None
    high: float | None
    episodes: int


@dataclass(frozen=True)
class Imagination:
    """What ``wambench imagine`` left in a folder.

    Attributes:
        folder: as it was named.
        command: that made it.
        run: whose episodes it looked at.
        camera: what is scored.
        ahead: policy -> control steps to its farthest frame.
        moments, episodes: of all policies.
        regions: name -> what it is.
        skills: policies as in the run, truth by truth.
        follows: consistency, its null and the response of each policy; none of one draw.
        gaps: pixels from where the object truly goes; empty where nothing moved.
        blind: policies at whose moments the tracker errs too much for those pixels to rank.
        notices: why it may not be about the policies of the run.
    """

    folder: str
    command: str
    run: str
    camera: str
    ahead: Mapping[str, int]
    moments: int
    episodes: int
    regions: Mapping[str, str]
    skills: Sequence[Skill]
    follows: Sequence[Measured]
    gaps: Sequence[Measured]
    blind: Sequence[str]
    notices: Sequence[str]


def read(folder: Path, labels: Mapping[str, str], passport: Passport | None) -> Imagination:
    """Read a study.

    Args:
        folder: that ``wambench imagine`` wrote.
        labels: what a study may call a policy -> its label in the run, in the order of the page.
        passport: of the run.

    Raises:
        UserError: there is no finished study in the folder.
    """
    try:
        found = read_folder(folder)
    except UserError as error:
        raise UserError(f"--imagined {error}") from None
    policies = found.manifest["policies"]
    camera = str(found.means["camera"].iloc[0])
    ahead = {label: policies[label]["offsets"][-1] for label in _in_order(policies, labels)}
    own = [(found.means[found.means["policy"] == label], last) for label, last in ahead.items()]
    return Imagination(
        folder=str(folder),
        command=found.manifest["command"],
        run=found.manifest["run"],
        camera=camera,
        ahead=ahead,
        moments=sum(told["moments"] for told in policies.values()),
        episodes=sum(told["episodes"] for told in policies.values()),
        regions=REGIONS,
        skills=list(_skills(found, camera, ahead)),
        follows=[one for part in own for one in _measured(consistency.found_at(*part, camera))],
        gaps=[one for part in own for one in _measured(displacement.found_at(*part, camera))],
        blind=[label for part in own for label in displacement.blind(*part, camera)],
        notices=strangers(policies, labels, passport),
    )


def figures(found: Imagination) -> tuple[list[Figure], list[str]]:
    """Pictures of what was imagined, and the names of those that are not shown."""
    files = [
        (
            Path(found.folder, f"{file_name(policy)}.png"),
            f"What {policy} imagined {ahead} control steps ahead, and what was then to be seen",
        )
        for policy, ahead in found.ahead.items()
    ]
    return embedded([file for file in files if file[0].exists()], BUDGET_BYTES)


def draw(skills: Sequence[Skill]) -> str:
    """Skill against what was executed, a panel for each region, as an ``<svg>`` element."""
    from matplotlib.figure import Figure as Drawing

    shown = [one for one in skills if one.truth == "executed" and one.prediction in DRAWN]
    if not shown:
        return ""
    policies = list(dict.fromkeys(one.policy for one in shown))
    regions = [name for name in REGIONS if any(one.region == name for one in shown)]
    with drawing.settings("skill"):
        size = INCHES[0], INCHES[1] + INCHES[2] * len(policies)
        figure = Drawing(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(regions), sharey=True, sharex=True, squeeze=False)[0]
        for axes, region in zip(panels, regions, strict=True):
            for one in shown:
                if one.region == region:
                    _dot(axes, one, policies.index(one.policy))
            axes.axvline(0, color=INK, linewidth=0.6)
            axes.set_title(region, fontsize=9, color=INK)
            axes.grid(axis="x", color=INK, alpha=0.15, linewidth=0.6)
            drawing.plain(axes)
        panels[0].set_yticks(range(len(policies)), policies, fontsize=8)
        panels[0].set_ylim(len(policies) - 0.5, -0.5)
        panels[0].set_xlim(FLOOR, 1.05)
        panels[0].set_xticks([-1, 0, 1])
        for name, pen in zip(DRAWN, PENS, strict=False):
            panels[0].plot([], [], pen.marker, color=pen.colour, markersize=5, label=name)
        drawing.legend(figure)
        words = "; ".join(
            f"{one.policy} in {one.region} {one.mean:.2f}"
            for one in shown
            if one.prediction == "imagined"
        )
        return drawing.as_svg(figure, "skill", f"Skill of what is imagined: {words}")


def _dot(axes: Any, one: Skill, place: int) -> None:
    number = DRAWN.index(one.prediction)
    pen, height = PENS[number], place + 0.22 * (number - 1)
    if one.low is not None and one.high is not None:
        axes.hlines(height, one.low, one.high, color=pen.colour, linewidth=1)
    axes.plot(one.mean, height, pen.marker, color=pen.colour, markersize=4)


def _in_order(policies: Iterable[str], labels: Iterable[str]) -> list[str]:
    """Policies of a study in the run's order, its strangers last."""
    order = {label: number for number, label in enumerate(labels)}
    return sorted(policies, key=lambda label: order.get(label, len(order)))


def _measured(rows: pd.DataFrame) -> Iterator[Measured]:
    for row in rows.to_dict("records"):
        yield Measured(
            policy=str(row["policy"]),
            head=str(row["head"]),
            mean=float(row["mean"]),
            low=number_or_none(row["low"]),
            high=number_or_none(row["high"]),
            episodes=int(row["episodes"]),
        )


def _skills(found: ImaginedFolder, camera: str, ahead: Mapping[str, int]) -> Iterator[Skill]:
    means = found.means
    chosen = means[(means["measure"] == "skill") & (means["camera"] == camera)]
    for truth in TRUTHS:
        for policy in ahead:
            part = chosen[
                (chosen["truth"] == truth)
                & (chosen["policy"] == policy)
                & (chosen["offset"] == ahead[policy])
                & (chosen["prediction"] != "copy")  # 0 by definition
            ]
            for row in part.to_dict("records"):
                yield Skill(
                    policy=policy,
                    prediction=str(row["prediction"]),
                    truth=truth,
                    region=str(row["region"]),
                    mean=float(row["mean"]),
                    low=number_or_none(row["low"]),
                    high=number_or_none(row["high"]),
                    episodes=int(row["episodes"]),
                )
