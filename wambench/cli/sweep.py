"""``wambench sweep``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from wambench import sweepfile
from wambench.cli.output import Json, command_line, print_json, print_table
from wambench.sweeping.ended import Ended
from wambench.sweeping.estimating import Estimator
from wambench.sweeping.machine import available_mb
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.progress import Reporter
from wambench.sweeping.request import Request, requested
from wambench.sweeping.until import ALL


def sweep(
    file: Annotated[Path, typer.Argument(help="The sweep file (YAML).")],
    out: Annotated[Path, typer.Option(help="Run directory; made, resumed or extended.")],
    dry_run: Annotated[
        bool, typer.Option(help="Only say what would run, and what it takes.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Run at most this many new cells.")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="Part i/n of the cells, e.g. 2/8.")] = None,
    until_decided: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B",
            help="End when it is decided which of these two is better; may be repeated; "
            f"'{ALL}': every two policies.",
        ),
    ] = None,
    effect: Annotated[
        float | None,
        typer.Option(help="With --until-decided: the difference that matters, e.g. 0.1."),
    ] = None,
    look_every: Annotated[
        int | None,
        typer.Option(min=1, help="With --until-decided: rounds from one look to the next."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Simulator processes.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="Join this Ray cluster.")] = None,
    attempts: Annotated[int, typer.Option(min=1, help="Tries of a cell the machinery fails.")] = 3,
    stall_seconds: Annotated[float, typer.Option(min=5, help="When a simulator is wedged.")] = 120,
    wait_seconds: Annotated[
        float, typer.Option(min=5, help="End a sweep in which nothing has moved for so long.")
    ] = 600,
    memory_gb: Annotated[
        float | None, typer.Option(min=0, help="Use at most this much memory (10^9 bytes).")
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(min=0, help="GPUs of this machine to use (default: all).")
    ] = None,
    max_batch: Annotated[
        int | None, typer.Option(min=1, help="Requests a policy gets at once.")
    ] = None,
    allow_mismatch: Annotated[
        list[str] | None, typer.Option(help="Extend a run although this passport field differs.")
    ] = None,
    json: Json = False,
) -> None:
    """Run every cell of a sweep file that the run directory does not know yet.

    Stop it with Ctrl-C whenever you like: the same command goes on from there.

    Example: wambench sweep sweeps/quick.yaml --out runs/quick
    """
    options = SweepOptions(
        workers=workers,
        ray_address=ray_address,
        attempts=attempts,
        stall_seconds=stall_seconds,
        wait_seconds=wait_seconds,
        memory_gb=memory_gb,
        gpus=gpus,
        max_batch=max_batch,
        allow_mismatch=tuple(allow_mismatch or ()),
    )
    request = requested(
        sweepfile.read(file),
        out,
        options,
        shard=shard,
        limit=limit,
        pairs=until_decided or (),
        effect=effect,
        look_every=look_every,
    )
    if dry_run:
        _dry_run(request, json)
        return
    ended = request.run(Reporter(quiet=json), command_line())
    _print(ended, json)
    ended.check()


def _print(ended: Ended, as_json: bool) -> None:
    result = ended.result
    if as_json:
        left = {label: one.model_dump() for label, one in result.left.items()}
        summary = asdict(replace(result, left={})) | {"left": left}
        summary |= {"spared_share": ended.spared_share, "out": str(ended.out)}
        print_json(summary | {"success": ended.rates})
        return
    columns = ["policy", "suite", "success", "episodes", "policy_errors", "missing"]
    print_table(ended.rates, columns)
    for label, one in result.left.items():
        print(f"{label}: {one.rounds} rounds: {one.why}")
    if result.left:
        share = 100 * ended.spared_share
        print(f"{result.spared} of {ended.cells} episodes ({share:.0f} %) were spared")
    print(f"stored in {ended.out}; next: wambench report {ended.out}")


def _dry_run(request: Request, as_json: bool) -> None:
    plan = request.plan
    waiting, known, spent = request.waiting()
    size = request.sizing(waiting)
    seconds = Estimator(plan, spent).wall_seconds(
        Counter(cell.kind for cell in waiting), size.workers if size else 1
    )
    rows = [
        {"policy": policy, "suite": suite, "cells": count}
        for (policy, suite), count in Counter((c.policy, c.suite) for c in waiting).items()
    ]
    summary = {
        "cells": len(request.cells),
        "known": sum(cell.key in known for cell in request.cells),
        "to_run": len(waiting),
        "estimated_hours": round(seconds / 3600, 3),
        "workers": size.workers if size else 0,
        "memory_mb": size.memory_mb if size else 0,
        "available_mb": size.available_mb if size else available_mb(),
    }
    needs = size.needs() if size else []
    if as_json:
        turns = size.turns() if size else []
        told = {"needs": needs, "turns": turns, "notes": list(plan.notes)}
        print_json(summary | {"by_policy_and_suite": rows, **told})
        return
    for line in plan.notes:
        print(line)
    print_table(rows, ["policy", "suite", "cells"])
    if size:
        print_table(needs, ["what", "processes", "memory_mb", "gpus", "turn"])
    most = "at most " if request.until is not None else ""
    print(
        f"{most}{summary['to_run']} cells to run ({summary['known']} known), about "
        f"{seconds / 60:.1f} minutes with {summary['workers']} workers, "
        f"{summary['memory_mb']} of {summary['available_mb']} MiB"
    )
    if size:
        print(size.available())
