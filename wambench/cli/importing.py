"""``wambench import``: results of other harnesses as a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wambench.cli.output import Json, command_line, print_json
from wambench.foreign import column_map, import_results, read


def import_(
    results: Annotated[
        list[str], typer.Argument(help="eval_info.json, _aggregate.json, .sqlite, .csv, …; NAME=…")
    ],
    run: Annotated[Path, typer.Option("--as", help="The run directory to make.")],
    columns: Annotated[
        str, typer.Option(help="Of tables: policy=…,suite=…,task=…,episode=…,success=…")
    ] = "",
    json: Json = False,
) -> None:
    """Make a run of what other harnesses wrote, for reports, verdicts and exports.

    What they do not tell stays unknown: nothing of such a run can be replayed.

    Example: wambench import pi0=a/eval_info.json oft=b/eval_info.json --as runs/theirs
    """
    roles = column_map(columns)
    found = {given: read(given, roles) for given in results}
    episodes = import_results(found, run, command_line())
    if json:
        print_json({"run": str(run), "episodes": episodes})
    else:
        print(f"{episodes} episodes in {run}; see them with: wambench report {run}")
