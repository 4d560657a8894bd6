"""The command: take the question, print episodes and hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from analysis.planning.questions import TASKS, Design, Question, check, designs
from analysis.planning.runs import Pace, Run, hours, read
from analysis.statistics import CONFIDENCE, POWER, SWEEPS
from wambench.cli.output import Json, print_json, print_table
from wambench.sweeping.machine import cores


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
        "same cells: the test of verdicts, "
        + (f"{SWEEPS:,} simulated sweeps" if question.tasks > 1 else "every count enumerated")
        + "; different episodes: the score test, every count enumerated, which knows no tasks"
    )
    if paces:
        print(f"hours are of {workers} workers at the pace of this run, opening of tasks excluded")
