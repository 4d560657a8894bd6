"""``wambench merge``: several run directories as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wambench import sweepfile
from wambench.cli.output import Json, command_line, print_json
from wambench.store import merge_runs

RunFolder = Annotated[Path, typer.Argument(help="A run directory.")]


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Run directories to merge.")],
    out: Annotated[Path, typer.Option(help="Where to; may be one of them.")],
    of: Annotated[
        Path | None, typer.Option(help="Only the cells that this sweep file asks for.")
    ] = None,
    allow_mismatch: Annotated[
        list[str] | None, typer.Option(help="Merge although this passport field differs.")
    ] = None,
    json: Json = False,
) -> None:
    """Merge the cells of several runs (of several machines, say) into one run directory.

    With --of a sweep begins with what other runs know: merge first, then sweep into the same --out.

    Example: wambench merge runs/a runs/b --out runs/all
    """
    keys = [cell.key for cell in sweepfile.plan(sweepfile.read(of)).cells] if of else None
    allowed = allow_mismatch or ()
    added = merge_runs(runs, out, allow_mismatch=allowed, command=command_line(), keys=keys)
    if json:
        print_json({"out": str(out), "added": added})
    else:
        print(f"{added} episodes added to {out}")
