"""``wambench merge``: several run directories as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wambench.cli.output import Json, command_line, print_json
from wambench.store import merge_runs

RunFolder = Annotated[Path, typer.Argument(help="A run directory.")]


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Run directories to merge.")],
    out: Annotated[Path, typer.Option(help="Where to; may be one of them.")],
    allow_mismatch: Annotated[
        list[str] | None, typer.Option(help="Merge although this passport field differs.")
    ] = None,
    json: Json = False,
) -> None:
    """Merge the cells of several runs (of several machines, say) into one run directory.

    Example: wambench merge runs/a runs/b --out runs/all
    """
    added = merge_runs(runs, out, allow_mismatch=allow_mismatch or (), command=command_line())
    if json:
        print_json({"out": str(out), "added": added})
    else:
        print(f"{added} episodes added to {out}")
