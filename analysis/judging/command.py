"""The command: name results, get a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from analysis.judging.asking import judged
from analysis.judging.judge import Judgement
from analysis.judging.junit import write_junit
from analysis.statistics import MARGIN
from wambench.cli.output import Json, print_json, print_table
from wambench.foreign import column_map

FailOn = Literal["worse", "not-better"]


def command(
    results: Annotated[
        list[str], typer.Argument(help="492/500, NAME=492/500, a run, eval_info.json, .csv, …")
    ],
    columns: Annotated[
        str, typer.Option(help="Of tables: policy=…,suite=…,task=…,episode=…,success=…")
    ] = "",
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Of each task, where a file tells rates only.")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="Only this policy of the files; may be repeated.")
    ] = None,
    margin: Annotated[
        float, typer.Option(help="Difference of rates that counts as equivalent.")
    ] = MARGIN,
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Exit with 1 if the first result is so against any.")
    ] = None,
    is_series: Annotated[
        bool, typer.Option("--trend", help="Also test whether success rises in the order given.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit file, for CI.")] = None,
    json: Json = False,
) -> None:
    """Say which result is better, from anyone's files: paired where episodes are shared.

    Example: wambench verdict 492/500 488/500
    """
    answer = judged(
        results, policies=policy or (), columns=column_map(columns), episodes=episodes,
        margin=margin, is_series=is_series,
    )  # fmt: skip
    first = answer.sources[0].label
    failed = [one for one in answer.judgements if one.first == first and _fails(one, fail_on)]
    if junit is not None:
        write_junit(junit, answer.judgements, failed)
    if json:
        print_json(answer.to_dict())
    else:
        for rows in answer.tables():
            print_table(rows, list(rows[0]))
        if answer.trend is not None:
            print(answer.trend_text())
    raise typer.Exit(int(bool(failed)))


def _fails(one: Judgement, fail_on: FailOn | None) -> bool:
    """A check that could compare nothing has not passed."""
    if fail_on is None:
        return False
    kind = None if one.verdict is None else one.verdict.kind
    return kind in (None, "worse") if fail_on == "worse" else kind != "better"
