"""``wambench plan``: how many episodes a question takes, and how long they run here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from analysis.pairing import by_policy, common
from analysis.statistics import (
    CONFIDENCE,
    POWER,
    discordance,
    episodes_paired,
    episodes_unpaired,
    highest_correlation,
)
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError
from wambench.store import Store, StoredCell
from wambench.sweep.sizing import cores

ILLUSTRATED = (0.25, 0.5, 0.75)
"""Shown where no correlation is given and none is measured: what pairing would save."""
TASKS = 40
"""Of LIBERO's four suites of ten."""


@dataclass(frozen=True)
class Question:
    """What is to be told apart.

    Attributes:
        baseline: success rate of one policy.
        delta: how much more the other solves; negative: less.
        power: chance of finding it.
        confidence: 1 minus the chance of finding a difference between equals.
        comparisons: that are judged together; Holm's first step divides by them.
        task_spread: standard deviation of the difference over tasks.
        tasks: of the sweep.
    """

    baseline: float
    delta: float
    power: float = POWER
    confidence: float = CONFIDENCE
    comparisons: int = 1
    task_spread: float = 0.0
    tasks: int = TASKS

    @property
    def other(self) -> float:
        """Success rate of the other policy."""
        return round(self.baseline + self.delta, 12)

    @property
    def surer(self) -> float:
        """Confidence of each comparison."""
        return 1 - (1 - self.confidence) / self.comparisons


@dataclass(frozen=True)
class Design:
    """One way to ask. ``discordant``: share of cells that one policy alone solves."""

    design: str
    correlation: float | None
    discordant: float | None
    episodes: int


@dataclass(frozen=True)
class Pace:
    """How fast a policy's episodes went; wall seconds of one worker, opening of tasks excluded."""

    policy: str
    episodes: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """What a run tells of the episodes to come: paces, and pair of policies -> correlation."""

    paces: Sequence[Pace]
    correlations: Mapping[str, float]


def command(
    baseline: Annotated[float, typer.Option(help="Success rate of one policy, 0 to 1.")],
    delta: Annotated[
        float, typer.Option(help="Difference that is to be found, 0.03 for 3 points.")
    ],
    power: Annotated[float, typer.Option(help="Chance of finding it.")] = POWER,
    confidence: Annotated[
        float, typer.Option(help="1 minus the chance of a finding where there is nothing.")
    ] = CONFIDENCE,
    comparisons: Annotated[
        int, typer.Option(min=1, help="Pairs of policies that are judged together.")
    ] = 1,
    paired_correlation: Annotated[
        list[float] | None,
        typer.Option(help="Of two policies' outcomes in the same cell; may be repeated."),
    ] = None,
    task_spread: Annotated[
        float, typer.Option(min=0, help="Standard deviation of the difference over tasks.")
    ] = 0.0,
    tasks: Annotated[int, typer.Option(min=1, help="Tasks of the sweep.")] = TASKS,
    run: Annotated[
        Path | None, typer.Option(help="A run directory, for its timings and correlations.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Simulators at once; one a core if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Say how many episodes of each policy it takes to tell a difference, and how many hours.

    Example: wambench plan --baseline 0.95 --delta 0.03 --run runs/quick
    """
    question = Question(baseline, delta, power, confidence, comparisons, task_spread, tasks)
    check(question, paired_correlation or ())
    known = read(run) if run else Run((), {})
    answers = designs(question, paired_correlation or (), known.correlations)
    at_once = workers or cores()
    if json:
        print_json(
            {
                "question": asdict(question),
                "designs": [asdict(answer) for answer in answers],
                "workers": at_once,
                "hours": {
                    pace.policy: [hours(pace, answer, at_once) for answer in answers]
                    for pace in known.paces
                },
                "seconds_an_episode": {pace.policy: pace.seconds for pace in known.paces},
            }
        )
        return
    _print(question, answers, known.paces, at_once)


def check(question: Question, correlations: Sequence[float]) -> None:
    """Raise UserError for a question without an answer."""
    for name, share in (("power", question.power), ("confidence", question.confidence)):
        if not 0.5 <= share < 1:
            raise UserError(f"--{name} {share:g} is not between 0.5 and 1; write 0.8 for 80 %")
    if not 0 <= question.baseline <= 1:
        raise UserError(f"--baseline {question.baseline:g} is no rate; write 0.95 for 95 %")
    if question.delta == 0:
        raise UserError("--delta 0 takes infinitely many episodes; name a difference, such as 0.03")
    if not 0 <= question.other <= 1:
        raise UserError(
            f"--baseline {question.baseline:g} and --delta {question.delta:g} give a rate of "
            f"{question.other:g}; choose them so that it lies between 0 and 1"
        )
    highest = highest_correlation(question.baseline, question.other)
    for correlation in correlations:
        if not 0 <= correlation <= highest:
            raise UserError(
                f"--paired-correlation {correlation:g} cannot be: with rates of "
                f"{question.baseline:g} and {question.other:g} it is 0 to {highest:.3f}"
            )
    if math.isinf(_paired(question, abs(question.delta))):
        raise UserError(
            f"--tasks {question.tasks} are too few: with a --task-spread of "
            f"{question.task_spread:g} no number of episodes tells a difference of "
            f"{abs(question.delta):g}; take more tasks"
        )


def designs(
    question: Question, given: Sequence[float], measured: Mapping[str, float]
) -> Sequence[Design]:
    """Answers: for episodes of their own, and for the same cells at each correlation.

    Correlations are those given, else those measured, else ILLUSTRATED as far as they can be.
    """
    first, second = question.baseline, question.other
    highest = highest_correlation(first, second)
    out = []
    if not question.task_spread:
        alone = episodes_unpaired(first, second, question.power, question.surer)
        out.append(Design("different episodes", None, None, alone))
    named = [("same cells", value) for value in given]
    if not named:
        named = [(f"same cells, as {pair}", value) for pair, value in measured.items()]
    if not named:
        named = [("same cells, if", value) for value in (0.0, *ILLUSTRATED)]
    for name, correlation in named:
        possible = min(correlation, highest)
        if correlation > highest and name == "same cells, if":
            continue
        share = max(discordance(first, second, possible), abs(question.delta))
        out.append(Design(name, possible, share, int(_paired(question, share))))
    return out


def _paired(question: Question, discordant: float) -> float:
    return episodes_paired(
        question.delta,
        discordant,
        question.power,
        question.surer,
        task_spread=question.task_spread,
        tasks=question.tasks,
    )


def read(folder: Path) -> Run:
    """Read paces and correlations of a run; UserError where no episode has finished."""
    with Store.read(folder) as store:
        cells = store.cells()
    finished = [stored for stored in cells if stored.outcome and stored.seconds]
    if not finished:
        raise UserError(
            f"{str(folder)!r} holds no finished episode to take timings from; "
            "name another run or leave --run out"
        )
    return Run(_paces(finished), correlations(cells))


def _paces(finished: Sequence[StoredCell]) -> Sequence[Pace]:
    seconds: dict[str, list[float]] = {}
    for stored in finished:
        seconds.setdefault(stored.cell.policy, []).append(stored.seconds["total"])
    return [Pace(policy, len(each), sum(each) / len(each)) for policy, each in seconds.items()]


def correlations(cells: Sequence[StoredCell]) -> Mapping[str, float]:
    """Pair of policies -> correlation of their outcomes, where both sometimes fail; at least 0."""
    asked, found = by_policy(cells), {}
    for first, second in combinations(asked, 2):
        pairs = np.array(
            [
                pair
                for suite in common(asked[first], asked[second])
                for task in suite
                for pair in task
            ]
        )
        if len(pairs) > 1 and np.ptp(pairs.astype(int), axis=0).all():
            found[f"{first} and {second}"] = max(0.0, float(np.corrcoef(pairs.T)[0, 1]))
    return found


def hours(pace: Pace, design: Design, workers: int) -> float:
    """Wall hours of one policy's episodes."""
    return pace.seconds * design.episodes / 3600 / workers


def _print(
    question: Question, answers: Sequence[Design], paces: Sequence[Pace], workers: int
) -> None:
    low, high = sorted((question.baseline, question.other))
    print(
        f"to tell {100 * low:g} % from {100 * high:g} % with {100 * question.power:g} % power at "
        f"{100 * question.confidence:g} % confidence"
        + (f", {question.comparisons} comparisons together" if question.comparisons > 1 else "")
    )
    rows = [
        {
            "design": answer.design,
            "correlation": "-" if answer.correlation is None else f"{answer.correlation:.2f}",
            "cells_that_differ": "-"
            if answer.discordant is None
            else f"{100 * answer.discordant:.1f} %",
            "episodes_a_policy": answer.episodes,
            **{pace.policy: f"{hours(pace, answer, workers):.1f} h" for pace in paces},
        }
        for answer in answers
    ]
    print_table(rows, list(rows[0]))
    print(
        "same cells: the test of verdicts, over tasks; different episodes: one that knows no tasks"
    )
    if paces:
        print(f"hours are of {workers} workers at the pace of this run, opening of tasks excluded")
