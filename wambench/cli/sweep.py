"""``wambench sweep``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from wambench import sweepfile
from wambench.cli.output import Json, command_line, print_json, print_table
from wambench.errors import UserError
from wambench.store import STORE_NAME, Store, episodes_frame
from wambench.sweep.progress import Reporter
from wambench.sweep.sizing import Estimator, Sizing, size_machine


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
    workers: Annotated[int | None, typer.Option(min=1, help="Simulator processes.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="Join this Ray cluster.")] = None,
    attempts: Annotated[int, typer.Option(min=1, help="Tries of a cell the machinery fails.")] = 3,
    stall_seconds: Annotated[float, typer.Option(min=5, help="When a simulator is wedged.")] = 120,
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
    plan = sweepfile.plan(sweepfile.read(file))
    cells = sweepfile.shard(plan.cells, shard) if shard else plan.cells
    if dry_run:
        _dry_run(plan, cells, out, size_machine(plan, workers), json)
        return
    size = size_machine(plan, workers)
    from wambench.sweep.driver import SweepOptions, run_sweep  # imports Ray: a second

    options = SweepOptions(
        workers=size.workers,
        ray_address=ray_address,
        attempts=attempts,
        stall_seconds=stall_seconds,
        max_batch=max_batch,
        allow_mismatch=tuple(allow_mismatch or ()),
    )
    reporter = Reporter(quiet=json)
    with Store.write(out, command_line()) as store:
        if limit is not None:
            known = store.known()
            cells = [cell for cell in cells if cell.key not in known][:limit]
        try:
            with reporter:
                result = run_sweep(plan, cells, store, options, reporter)
        except KeyboardInterrupt:
            done = len(store.known())
            reporter.note(f"stopped: {done} cells are stored; the same command goes on from there")
            raise
        frame = episodes_frame(store)
    rates = _rates(frame)
    if json:
        print_json(asdict(result) | {"out": str(out), "success": rates})
    else:
        print_table(rates, ["policy", "suite", "success", "episodes", "policy_errors", "missing"])
        print(f"stored in {out}; next: wambench report {out}")
    if result.lost:
        raise UserError(
            f"{result.lost} cells failed by infrastructure {attempts} times each and are missing; "
            "the same command tries them again"
        )


def _dry_run(plan: sweepfile.Plan, cells: Any, out: Path, size: Sizing, as_json: bool) -> None:
    known, stored = set(), []
    if (out / STORE_NAME).exists():
        with Store.read(out) as store:
            known, stored = store.known(), list(store.cells())
    waiting = [cell for cell in cells if cell.key not in known]
    seconds = Estimator(plan, stored).wall_seconds(waiting, size.workers)
    rows = [
        {"policy": policy, "suite": suite, "cells": count}
        for (policy, suite), count in Counter((c.policy, c.suite) for c in waiting).items()
    ]
    summary = {
        "cells": len(cells),
        "known": len(cells) - len(waiting),
        "to_run": len(waiting),
        "estimated_hours": round(seconds / 3600, 3),
        "workers": size.workers,
        "memory_mb": size.memory_mb,
        "available_mb": size.available_mb,
    }
    if as_json:
        print_json(summary | {"by_policy_and_suite": rows})
        return
    print_table(rows, ["policy", "suite", "cells"])
    print(
        f"{summary['to_run']} cells to run ({summary['known']} known), about "
        f"{seconds / 60:.1f} minutes with {size.workers} workers, "
        f"{size.memory_mb} of {size.available_mb} MiB"
    )


def _rates(frame: Any) -> list[dict[str, Any]]:
    """Success by policy and suite; policy errors count as not successful, missing cells do not."""
    rows = []
    for (policy, suite), group in frame.groupby(["policy", "suite"], sort=True):
        outcomes = group["outcome"].value_counts()
        missing = int(outcomes.get("missing", 0))
        episodes = len(group) - missing
        successes = int(outcomes.get("success", 0))
        rows.append(
            {
                "policy": policy,
                "suite": suite,
                "success": f"{successes}/{episodes}",
                "episodes": episodes,
                "policy_errors": int(outcomes.get("policy_error", 0)),
                "missing": missing,
            }
        )
    return rows
