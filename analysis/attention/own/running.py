"""A study of a run's own episodes from the beginning to the end, as the command does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.attention.own.asking import found
from analysis.attention.own.chosen import Chosen, Wanted, choose
from analysis.attention.own.page import outcome_notes, outcome_rows
from analysis.attention.own.summary import Tables, tables
from analysis.attention.own.writing import write
from analysis.attention.parts import Parts
from wambench.cli.output import command_line, print_json, print_table
from wambench.errors import UserError
from wambench.store import Store


def study(
    run: Path,
    wanted: Wanted,
    out: Path,
    *,
    per_episode: int,
    camera: str | None,
    smooth: bool,
    json: bool,
) -> None:
    """Look at stored episodes, write the folder and print what stands in it.

    Raises:
        UserError: as of :func:`choose`, a camera that the policies do not see, a folder that cannot
            be written to, an episode that goes otherwise here.
    """
    with Store.read(run) as store:
        chosen = choose(store, wanted)
    drawn = _camera(chosen, camera)
    parts = Parts(out)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, disable=json) as progress:
        answers = found(chosen, per_episode, parts, progress)
    made = tables(answers)
    manifest = write(out, run, chosen, answers, made, drawn, command_line(), smooth=smooth)
    if json:
        print_json({"out": str(out), "manifest": manifest})
    else:
        _tell(manifest, made, drawn)
        print(f"all in {out}")


def _camera(chosen: Chosen, camera: str | None) -> str:
    """The camera of the figures: one that all policies see."""
    seen = [group.looking.spec.cameras for group in chosen.groups]
    common = [name for name in seen[0] if all(name in those for those in seen)]
    if camera is None and common:
        return common[0]
    if camera not in common:
        raise UserError(
            f"--camera {camera!r} is not what all these policies see; "
            f"{', '.join(common) or 'they share none: name one with --policy'}"
        )
    return camera


def _tell(manifest: dict[str, Any], made: Tables, camera: str) -> None:
    for label, entry in manifest["policies"].items():
        ended = ", ".join(f"{count} {outcome}" for outcome, count in entry["outcomes"].items())
        sinks = int((made.sinks["policy"] == label).sum())
        told = f"no sinks named ({entry['no_sinks']})" if entry["no_sinks"] else f"sinks: {sinks}"
        print(f"{label}: {ended}; {entry['moments']} moments; {told}")
        if entry["to_the_bit"] < entry["acted_again"]:
            print(
                f"{label} acts otherwise than in the run at "
                f"{entry['acted_again'] - entry['to_the_bit']} of {entry['acted_again']} moments"
                + (f"; changed since: {', '.join(entry['changed'])}" if entry["changed"] else "")
            )
    for line in manifest["left_out"]:
        print(f"left out: {line}")
    if made.agreement is not None:
        print_table(_correlations(made.agreement), ["policy", "camera", "correlation", "null", "p"])
        print("rank correlation of attention and effect (95 % over episodes); null: one map moved")
    chosen = made.outcomes[made.outcomes["camera"] == camera]
    print("success minus failure within tasks; p of outcomes shuffled within tasks:")
    if rows := list(outcome_rows(chosen)):
        print_table(rows, ["policy", "moments", "what", "difference", "p"])
    for line in outcome_notes(chosen):
        print(f"no number for {line}")


def _correlations(table: pd.DataFrame) -> list[dict[str, str]]:
    rows = []
    for row in table.to_dict("records"):
        known = row["low"] == row["low"]
        interval = f" ({row['low']:+.2f} to {row['high']:+.2f})" if known else ""
        rows.append(
            {
                "policy": row["policy"],
                "camera": row["camera"],
                "correlation": f"{row['mean']:+.2f}{interval}",
                "null": f"{row['null']:+.2f}",
                "p": f"{row['p']:.2g}",
            }
        )
    return rows
