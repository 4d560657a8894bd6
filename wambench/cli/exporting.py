"""``wambench export``: run directories as tables, actions and data sets."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wambench.cli.output import Json, print_json
from wambench.cli.runs import RunFolder
from wambench.cli.selecting import InitState, Seed, SuiteName, TaskNumber, Wanted
from wambench.errors import UserError
from wambench.lerobot.plan import Entry, Look, Outcome
from wambench.store import (
    TABLES,
    Store,
    check_target,
    episodes_frame,
    export_table,
    lighten,
    timings_frame,
    unwritable,
)
from wambench.sweeping.progress import LOG_EVERY_SECONDS

if TYPE_CHECKING:
    from wambench.lerobot.folder import Exported


def export(
    run: RunFolder,
    episodes: Annotated[
        Path | None, typer.Option(help="One row per cell; identical runs give identical files.")
    ] = None,
    timings: Annotated[Path | None, typer.Option(help="Seconds per stage of each episode.")] = None,
    actions: Annotated[
        Path | None, typer.Option(help="Actions of successful episodes, for the replay policy.")
    ] = None,
    light: Annotated[
        Path | None,
        typer.Option(help="A new run directory without the courses of its episodes."),
    ] = None,
    lerobot: Annotated[
        Path | None,
        typer.Option(help="A LeRobot v2.1 data set, drawn now: a folder, made or continued."),
    ] = None,
    policy: Annotated[str | None, typer.Option(help="With --actions or --lerobot: whose.")] = None,
    suite: SuiteName = None,
    task: TaskNumber = None,
    init: InitState = None,
    seed: Seed = None,
    outcome: Annotated[
        Outcome, typer.Option(help="With --lerobot: only episodes that ended so.")
    ] = "all",
    size: Annotated[
        int, typer.Option(min=16, max=1024, help="With --lerobot: side of the frames, pixels.")
    ] = Look().size,
    rendering: Annotated[
        str | None, typer.Option(help="With --lerobot: a preset of the suite; else the run's.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a run as tables (.csv, .parquet or .json), actions (.npz) or a LeRobot data set.

    --suite, --task, --init and --seed choose among the episodes of --lerobot.

    Example: wambench export runs/quick --episodes episodes.csv --timings timings.parquet
    """
    if not (episodes or timings or actions or light or lerobot):
        raise UserError(
            "nothing to export; add --episodes, --timings, --actions, --light or --lerobot "
            "with a name"
        )
    wanted, look = Wanted(policy, suite, task, init, seed), Look(size=size, rendering=rendering)
    _check_options(wanted, look, outcome, lerobot, actions)
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
        if lerobot:
            done = _export_lerobot(store, wanted, lerobot, outcome, look, quiet=json)
            known = f", {done.known} of them known already" if done.known else ""
            written.append(f"{lerobot} ({done.episodes} episodes, {done.frames} frames{known})")
    if light:
        written.append(f"{light} ({lighten(run, light)} episodes)")
    if json:
        print_json({"written": written})
    else:
        print("\n".join(written))


def _check_options(
    wanted: Wanted, look: Look, outcome: Outcome, lerobot: Path | None, actions: Path | None
) -> None:
    """Refuse options that would be passed over in silence, and sizes no film can have."""
    if look.size % 2:
        raise UserError(f"--size {look.size} is odd, which H.264 cannot hold; give {look.size + 1}")
    if lerobot:
        return
    given = {
        "--suite": wanted.suite is not None,
        "--task": wanted.task is not None,
        "--init": wanted.init_state is not None,
        "--seed": wanted.seed is not None,
        "--outcome": outcome != "all",
        "--size": look.size != Look().size,
        "--rendering": look.rendering is not None,
        "--policy": wanted.policy is not None and not actions,
    }
    for name, is_given in given.items():
        if is_given:
            where = "--lerobot or --actions" if name == "--policy" else "--lerobot"
            raise UserError(f"{name} goes with {where}; add that, or leave {name} out")


def _export_lerobot(
    store: Store, wanted: Wanted, root: Path, outcome: Outcome, look: Look, *, quiet: bool
) -> Exported:
    from wambench.lerobot.folder import export_lerobot  # imports FFmpeg

    console = Console(stderr=True, quiet=quiet, highlight=False)
    columns = (TextColumn("steps"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    live = console.is_terminal and not quiet
    done, logged = 0, monotonic()
    with Progress(*columns, console=console, transient=True, disable=not live) as bar:
        shown = bar.add_task("", total=None)

        def count(entry: Entry, total: int) -> None:
            nonlocal done, logged
            done += entry.steps
            bar.update(shown, total=total, completed=done)
            if not live and monotonic() - logged > LOG_EVERY_SECONDS:
                logged = monotonic()
                console.print(f"steps {done}/{total}", markup=False)

        return export_lerobot(store, wanted.of(store), root, outcome, look, count)


def _export_actions(store: Store, file: Path, policy: str | None) -> int:
    labels = list(store.policies())
    if not labels:
        raise UserError(f"{str(store.folder)!r} holds no cells yet; run its sweep first")
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
