"""``wambench imagine``: hold what policies imagined in a run against what the simulator shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from analysis.imagination import consistency, displacement
from analysis.imagination.asked import of_expert, of_run
from analysis.imagination.figure import draw
from analysis.imagination.guided import Place
from analysis.imagination.study import offsets_of, study, untrained
from analysis.imagination.summary import headline, summary
from analysis.imagination.writing import (
    DRAWN,
    FUTURES,
    MOVED,
    ROWS,
    SUMMARY,
    write,
    write_futures,
)
from wambench import plugins
from wambench.cli.options import parsed
from wambench.cli.output import Json, command_line, print_json, print_table
from wambench.errors import UserError
from wambench.naming import file_name
from wambench.protocols import protocol

OF_EXPERT = {
    "suite": "--suite", "task": "--task", "init": "--init", "option": "--option",
    "protocol_name": "--protocol",
}  # fmt: skip
OF_RUNS = {"episodes": "--episodes"}
NEEDED = ("policy", "suite", "task", "init")  # without a run
REGIONS = ("all", "change", "object", "gripper", "goal")


def command(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder; made.")],
    run: Annotated[
        Path | None,
        typer.Argument(
            help="A run directory, with its episodes' courses; else --policy and so on."
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="LABEL in the run (all that imagine if none), or NAME; repeat."),
    ] = None,
    suite: Annotated[list[str] | None, typer.Option(help="Without a run; repeat.")] = None,
    task: Annotated[
        list[int] | None, typer.Option(min=0, help="Without a run; repeat for several.")
    ] = None,
    init: Annotated[
        list[int] | None, typer.Option(min=0, help="Without a run, initial state; repeat.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Without a run, key=value, an option of all named policies."),
    ] = None,
    protocol_name: Annotated[
        str, typer.Option("--protocol", help="Without a run, of the expert's episodes.")
    ] = "nano-1",
    episodes: Annotated[
        int, typer.Option(min=1, help="Of each policy and outcome, spread over the tasks.")
    ] = 5,
    stride: Annotated[int, typer.Option(min=1, help="Control steps between moments.")] = 32,
    controls: Annotated[bool, typer.Option(help="Random weights, too.")] = True,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Noises a moment; two or more: does what is imagined follow the action?",
        ),
    ] = 1,
    json: Json = False,
) -> None:
    """Compare what policies imagine, at moments of their own episodes, with what then happens.

    Beside it stand a copy of the present frame, another episode's future, noise and a network that
    was not trained. Truth is what the policy's own chunk shows in a branch of the episode, and what
    the scripted expert's actions show.

    Without a run, moments are those of the scripted expert's episodes from the initial states that
    are named, and policies are asked by name.

    Example: wambench imagine runs/nano-libero --policy nano-fastwam-idm --out runs/imagined

    Example: wambench imagine --policy nano-fastwam-idm --suite libero_object --task 6 --init 41
    --out runs/imagined
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{str(out)!r} is there already; name another --out")
    if run is not None:
        _refuse(context, OF_EXPERT, "the moments, options and protocol are those of the run")
        wanted = of_run(run, policy or (), episodes)
    else:
        _refuse(context, OF_RUNS, "it chooses among the episodes of a run; name one")
        wanted = of_expert(
            policy or (), parsed(option or []), _places(context), protocol(protocol_name)
        )
    out.mkdir(parents=True, exist_ok=True)
    founds, offsets, prints = {}, {}, {}
    for label, choice in wanted.policies.items():
        asked = plugins.make_policy(choice.name, choice.options)
        asked.load()
        control = untrained(asked) if controls else None
        offsets[label], prints[label] = tuple(offsets_of(asked)), dict(asked.fingerprint())
        founds[label] = study(
            label,
            asked,
            offsets[label],
            wanted.episodes[label],
            wanted.rules,
            stride,
            control,
            seeds,
        )
    rows = pd.concat([found.rows for found in founds.values()], ignore_index=True)
    drawn = pd.concat([found.drawn for found in founds.values()], ignore_index=True)
    moved = pd.concat([found.moved for found in founds.values()], ignore_index=True)
    parts = [summary(rows), consistency.summary(drawn), displacement.summary(moved)]
    means = pd.concat([part for part in parts if len(part)], ignore_index=True)
    manifest = {
        "command": command_line(),
        "run": wanted.source,
        "protocol": wanted.rules.name,
        "stride": stride,
        "seeds": seeds,
        "policies": {
            label: {
                "episodes": len(wanted.episodes[label]),
                "moments": len(found.moments),
                "offsets": offsets[label],
                "fingerprint": prints[label],
            }
            for label, found in founds.items()
        },
    }
    write(out, {ROWS: rows, DRAWN: drawn, MOVED: moved, SUMMARY: means}, manifest)
    for label, studied in founds.items():
        title = f"{label}: {offsets[label][-1]} control steps ahead"
        draw(studied.pictured, title, out / f"{file_name(label)}.png")
    finest = max(offsets, key=lambda label: len(offsets[label]))  # others read a part of it
    write_futures(out / FUTURES, founds[finest].moments, offsets[finest])
    camera, last = str(rows["camera"].iloc[0]), int(rows["offset"].max())
    results = {
        "skill": headline(means, last, camera),
        "displacement": displacement.headline(means, last, camera),
        "consistency": consistency.headline(means, last, camera),
    }
    if json:
        print_json({"out": str(out), "manifest": manifest} | results)
        return
    where = f"{camera}, {last} control steps ahead"
    _tell(results, where, displacement.blind(means, last, camera), seeds)
    print(f"all in {out}")


def _tell(
    results: Mapping[str, list[dict[str, str]]], where: str, blind: Sequence[str], seeds: int
) -> None:
    """Print tables and how to read them; ``blind``: where the tracker's pixels mean nothing."""
    for row in results["skill"]:
        row.update({region: row.get(region, "-") for region in REGIONS})
    print_table(results["skill"], ["policy", "truth", "prediction", *REGIONS])
    print(f"skill: 1 the truth, 0 a copy of the present; {where}")
    if gaps := results["displacement"]:
        print_table(gaps, ["policy", *displacement.HEADS])
        print(
            "object: pixels from where it truly is to where a tracker finds it; copy: it stays, "
            "tracker: in the true frame"
        )
    for label in blind:
        print(f"{label}: the tracker's own error is too large here for these pixels to rank")
    if follows := results["consistency"]:
        print_table(follows, ["policy", *consistency.HEADS])
        print(
            f"consistency of {seeds} draws a moment: 1 imagined frames differ as the executed do, "
            "0 unrelated; shuffled: the middle 95 % of random pairings"
        )
    elif seeds > 1:
        print(f"{seeds} draws a moment, and no two of them do anything that differs")


def _refuse(context: typer.Context, options: Mapping[str, str], why: str) -> None:
    """UserError for options that belong to the other way to choose moments."""
    for name, typed in options.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            where = "with" if options is OF_EXPERT else "without"
            raise UserError(f"{typed} is nothing {where} a run: {why}; leave it out")


def _places(context: typer.Context) -> list[Place]:
    """Every initial state of every task of every suite; UserError where one of them is missing."""
    given = context.params
    if missing := [name for name in NEEDED if not given[name]]:
        raise UserError(
            f"--{missing[0]} is missing: name policies, suites, tasks and initial states of the "
            "scripted expert's episodes, or a run"
        )
    return [
        Place(suite, number, state)
        for suite in given["suite"]
        for number in given["task"]
        for state in given["init"]
    ]
