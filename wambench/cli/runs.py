"""``wambench merge`` and ``export``: run directories as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from wambench.cli.output import Json, command_line, print_json
from wambench.errors import UserError
from wambench.store import (
    TABLES,
    Store,
    check_target,
    episodes_frame,
    export_table,
    lighten,
    merge_runs,
    timings_frame,
    unwritable,
)

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


def export(
    run: RunFolder,
    episodes: Annotated[
        Path | None, typer.Option(help="One row per cell; identical runs give identical files.")
    ] = None,
    timings: Annotated[Path | None, typer.Option(help="Seconds per stage of each episode.")] = None,
    actions: Annotated[
        Path | None, typer.Option(help="Actions of successful episodes, for the replay policy.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="With --actions: whose.")] = None,
    light: Annotated[
        Path | None,
        typer.Option(help="A new run directory without the courses of its episodes."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a run as tables (.csv, .parquet or .json), or its actions as .npz.

    Example: wambench export runs/quick --episodes episodes.csv --timings timings.parquet
    """
    if not (episodes or timings or actions or light):
        raise UserError(
            "nothing to export; add --episodes, --timings, --actions or --light with a name"
        )
    for file, suffixes in ((episodes, TABLES), (timings, TABLES), (actions, (".npz",))):
        if file:
            check_target(file, suffixes)
    written = []
    with Store.read(run) as store:
        if episodes:
            export_table(episodes_frame(store), episodes)
            written.append(str(episodes))
        if timings:
            export_table(timings_frame(store), timings)
            written.append(str(timings))
        if actions:
            count = _export_actions(store, actions, policy)
            written.append(f"{actions} ({count} episodes)")
    if light:
        written.append(f"{light} ({lighten(run, light)} episodes)")
    if json:
        print_json({"written": written})
    else:
        print("\n".join(written))


def _export_actions(store: Store, file: Path, policy: str | None) -> int:
    labels = list(store.policies())
    if policy is None and len(labels) == 1:
        policy = labels[0]
    if policy not in labels:
        found = f"no policy {policy!r} in this run" if policy else "--policy is missing"
        raise UserError(f"{found}; name one of {', '.join(labels)}")
    recordings = {
        f"{known.cell.suite}/{known.cell.task}/{known.cell.init_state}": store.trace(
            known.cell.key
        ).actions
        for known in store.cells()
        if known.outcome == "success" and known.cell.policy == policy
    }
    if not recordings:
        raise UserError(f"{policy!r} has no successful episode in this run; nothing to replay")
    try:
        np.savez_compressed(file, **recordings)  # type: ignore[arg-type]
    except OSError as error:
        raise unwritable(file, error) from None
    return len(recordings)
