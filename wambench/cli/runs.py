"""``wambench merge``: several run directories as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wambench import sweepfile
from wambench.cli.output import Json, command_line, print_json
from wambench.errors import UserError
from wambench.matching import match
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
    keys, left_out = None, ""
    if of is not None:
        plan = sweepfile.plan(sweepfile.read(of))
        keys = [cell.key for cell in plan.cells]
        found = match(plan, runs)
        left_out = found.describe()
        if not found.known:
            raise UserError(f"nothing to merge: {left_out}; name other runs or another --of")
    allowed = allow_mismatch or ()
    added = merge_runs(runs, out, allow_mismatch=allowed, command=command_line(), keys=keys)
    if json:
        print_json({"out": str(out), "added": added, "left_out": left_out})
    else:
        print(f"{added} episodes added to {out}")
        if left_out:
            print(left_out)
