"""An attention study beside a run: its scores as a table, its figures small enough for the page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.attention.compare import arm_name
from analysis.attention.folder import read_folder
from analysis.attention.study import BOTH
from analysis.report.beside import number_or_none, strangers
from analysis.report.figures import Figure, embedded
from wambench.errors import UserError
from wambench.naming import file_name
from wambench.passport import Passport

MEASURES = {
    "lift": "Lift: attention on a part of the picture over its share of the area; 1 is chance",
    "auroc": "AUROC: how often a pixel inside is read more than one outside; 0.5 is chance",
}
DIFFERENCE = "lift"
"""The measure whose differences are shown."""
BOUND = "oracle"  # a control that knows the answer; it would only stretch the table
FIGURES = {
    "over-time": "What the action tokens of each policy read of {camera}, over one episode: orange "
    "more than the mean image token, purple less",
    "words": "How much is read of each word of the instruction",
    "lift-{camera}": "Lift of every policy and control on {camera}, by part of the scene",
    "blanking": "How much the action moves when the most read image tokens are painted over, "
    "against as many at random",
    "imagined-": "What {policy} reads of the present and of the frames it imagined",
    "layers-": "What {policy} reads, flow step against layer",
}
"""Figures of a study in the order of the page, by how their names begin -> in words."""
BUDGET_BYTES = 1_200_000  # of all figures together, so that the page stays below 5 MB


@dataclass(frozen=True)
class Scored:
    """Mean of one measure over episodes; without an interval where there are too few.

    ``arm``: a policy, a control, or of a difference ``A − B``.
    """

    arm: str
    measure: str
    region: str
    mean: float
    low: float | None
    high: float | None
    episodes: int


@dataclass(frozen=True)
class Study:
    """What ``wambench attention`` left in a folder.

    Attributes:
        folder: as it was named.
        command: that made it.
        camera: what is scored.
        regions: name -> what it is.
        scores: arms in the order to show, measure by measure.
        differences: of policies at the same moments, in :data:`DIFFERENCE`.
        notices: why it may not be about the policies of the run.
    """

    folder: str
    command: str
    camera: str
    episodes: int
    moments: int
    regions: Mapping[str, str]
    scores: Sequence[Scored]
    differences: Sequence[Scored]
    notices: Sequence[str]


def read(folder: Path, labels: Mapping[str, str], passport: Passport | None) -> Study:
    """Read a study.

    Args:
        folder: that ``wambench attention`` wrote.
        labels: what a study may call a policy -> its label in the run, in the order of the page.
        passport: of the run.

    Raises:
        UserError: there is no finished study in the folder.
    """
    try:
        found = read_folder(folder)
    except UserError as error:
        raise UserError(f"--attention {error}") from None
    manifest = found.manifest
    camera = _camera(found.means, manifest["files"])
    scores = list(_scores(found.means, camera, list(labels), list(manifest["regions"])))
    own = [arm for arm in dict.fromkeys(row.arm for row in scores) if arm in manifest["policies"]]
    return Study(
        folder=str(folder),
        command=manifest["command"],
        camera=camera,
        episodes=manifest["episodes"],
        moments=manifest["moments"],
        regions=manifest["regions"],
        scores=scores,
        differences=list(_differences(found.differences, camera, own)),
        notices=strangers(manifest["policies"], labels, passport),
    )


def figures(study: Study) -> tuple[list[Figure], list[str]]:
    """Pictures for the page, and the names of those that did not fit or cannot be read."""
    return embedded(_files(study), BUDGET_BYTES)


def _files(study: Study) -> Iterator[tuple[Path, str]]:
    """Every figure there is and what it shows, in the order of the page."""
    named = {file_name(scored.arm): scored.arm for scored in study.scores}
    for begin, words in FIGURES.items():
        name = begin.format(camera=study.camera.replace(" ", "-"))
        for file in sorted(Path(study.folder).glob(f"{name}*.png")):
            if begin.endswith("-") or file.stem == name:
                policy = file.stem.removeprefix(begin)
                policy = named.get(policy, policy)
                yield file, words.format(camera=study.camera, policy=policy)


def _camera(means: pd.DataFrame, files: Sequence[str]) -> str:
    """The camera of the figures: the one that the command prints."""
    cameras = [name for name in means["camera"].unique() if f"lift-{name}.png" in files]
    return cameras[0] if cameras else BOTH


def _scores(
    means: pd.DataFrame, camera: str, labels: Sequence[str], regions: Sequence[str]
) -> Iterator[Scored]:
    """Policies as in the run, each before its controls; then maps that know nothing."""
    chosen = means[(means["view"] == "mean") & (means["camera"] == camera)]
    found = {
        (row["policy"], row["control"], row["measure"], row["region"]): row
        for row in chosen[chosen["control"] != BOUND].to_dict("records")
    }
    order = {label: number for number, label in enumerate(labels)}
    arms = sorted(
        dict.fromkeys((policy, control) for policy, control, *_ in found),
        key=lambda arm: (arm[0] == arm[1], order.get(arm[0], len(order)), arm),
    )
    for measure in MEASURES:
        for arm in arms:
            for region in regions:
                if row := found.get((*arm, measure, region)):
                    yield _scored(arm_name(*arm), row)


def _differences(
    differences: pd.DataFrame, camera: str, policies: Sequence[str]
) -> Iterator[Scored]:
    """Every policy less every later one, whichever way round the study took them."""
    asked = {"view": "mean", "camera": camera, "measure": DIFFERENCE}
    chosen = differences[(differences[list(asked)] == pd.Series(asked)).all(axis=1)]
    rows = chosen.to_dict("records")
    for one, other in itertools.combinations(policies, 2):
        for row in rows:
            if (row["first"], row["second"]) == (one, other):
                yield _scored(f"{one} − {other}", row)
            elif (row["second"], row["first"]) == (one, other):
                turned = {"mean": -row["mean"], "low": -row["high"], "high": -row["low"]}
                yield _scored(f"{one} − {other}", row | turned)


def _scored(arm: str, row: Mapping[Any, Any]) -> Scored:
    return Scored(
        arm=arm,
        measure=row["measure"],
        region=row["region"],
        mean=float(row["mean"]),
        low=number_or_none(row["low"]),
        high=number_or_none(row["high"]),
        episodes=int(row["episodes"]),
    )
