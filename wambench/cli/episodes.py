"""``wambench replay`` and ``video``: stored episodes, run again or drawn."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from wambench.cli.output import Json, print_json, print_table
from wambench.cli.runs import RunFolder
from wambench.cli.selecting import InitState, Policy, Seed, SuiteName, TaskNumber, Wanted
from wambench.errors import UserError
from wambench.store import Store
from wambench.sweeping.progress import Reporter


def replay(
    run: RunFolder,
    policy: Policy = None,
    suite: SuiteName = None,
    task: TaskNumber = None,
    init: InitState = None,
    seed: Seed = None,
    most: Annotated[int, typer.Option(min=1, help="Run at most so many cells again.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Simulator processes.")] = 1,
    json: Json = False,
) -> None:
    """Run stored cells again, policy and all, and check that every step is bit-identical.

    Example: wambench replay runs/quick --policy expert --suite SUITE --task 2 --init 0
    """
    from wambench.replay import replay_cells  # imports Ray: a second

    with Store.read(run) as store:
        chosen = Wanted(policy, suite, task, init, seed).of(store)[:most]
    verdicts, changed = replay_cells(run, chosen, workers, Reporter(quiet=True))
    rows = [
        {"cell": v.cell.describe(), "identical": v.identical, "found": v.found} for v in verdicts
    ]
    if json:
        print_json({"cells": [asdict(v) for v in verdicts], "conditions_differ": list(changed)})
    else:
        print_table(
            [row | {"identical": "yes" if row["identical"] else "NO"} for row in rows],
            ["cell", "identical", "found"],
        )
        if any(not v.same_key for v in verdicts):
            print("not the cells they were: a policy, suite or protocol has changed since")
        for line in changed:
            print(f"differs: {line}")
    if not all(v.identical for v in verdicts):
        raise typer.Exit(1)


def video(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="Directory for the films; made if it is not there.")],
    policy: Policy = None,
    suite: SuiteName = None,
    task: TaskNumber = None,
    init: InitState = None,
    seed: Seed = None,
    most: Annotated[int, typer.Option(min=1, help="Draw at most so many episodes.")] = 1,
    size: Annotated[int, typer.Option(min=16, help="Side of a camera's frame in pixels.")] = 256,
    camera: Annotated[
        list[str] | None, typer.Option(help="Left to right; all of the suite if not given.")
    ] = None,
    rendering: Annotated[str, typer.Option(help="One of the suite's presets.")] = "exact",
    json: Json = False,
) -> None:
    """Draw stored episodes as MP4 films, at any size: sweeps keep states, not frames.

    Where decisions are paid for, a bar fills while one is under way.

    Example: wambench video runs/quick --policy random --task 2 --out films --size 512
    """
    from wambench import plugins
    from wambench.clock import PREFIX
    from wambench.inset import decisions_of
    from wambench.video import film_episode, film_name

    if size % 2:
        raise UserError(f"--size {size} is odd, which H.264 cannot hold; give {size + 1}")
    written = []
    with Store.read(run) as store:
        chosen = Wanted(policy, suite, task, init, seed).of(store)[:most]
        rules, measured = store.protocol(), store.measurements(PREFIX)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write to {str(out)!r}: {error.strerror}; choose another --out"
            ) from None
        for one in chosen:
            cell = one.cell
            cameras = camera or plugins.make_suite(cell.suite).spec.cameras
            path = out / film_name(cell)
            snapshots = store.trace(cell.key).snapshots
            paid = decisions_of(measured.get(cell.key, {}))
            frames = film_episode(path, cell, rules, snapshots, cameras, size, rendering, paid)
            written.append({"film": str(path), "outcome": one.outcome, "frames": frames})
            if not json:
                print(f"{path}: {frames} frames, {one.outcome}")
    if json:
        print_json({"films": written})
