"""``wambench sweep``."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from wambench import plugins, sweepfile
from wambench.cells import Cell
from wambench.cli.output import Json, command_line, print_json, print_table
from wambench.errors import UserError, did_you_mean
from wambench.store import STORE_NAME, Count, Store, counts, paces
from wambench.sweeping.agenda import Agenda, Until
from wambench.sweeping.estimating import Estimator
from wambench.sweeping.machine import available_mb, this_machine
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.progress import Reporter
from wambench.sweeping.sizing import Sizing, size

RULE = "decided"
ALL = "all"


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
    plan = sweepfile.plan(sweepfile.read(file))
    cells = sweepfile.shard(plan.cells, shard) if shard else plan.cells
    for name, given in (("--shard", shard), ("--limit", limit)):
        if until_decided and given is not None:
            raise UserError(
                f"{name} {given} and --until-decided do not go together, which needs whole rounds "
                "of one sweep; leave one of them out"
            )
    until = _until(plan, until_decided or (), effect, look_every)
    for name, allowed in (("--memory-gb", memory_gb), ("--gpus", gpus)):
        if ray_address is not None and allowed is not None:
            raise UserError(
                f"{name} {allowed} is for this machine; leave it out with --ray-address"
            )
    sizing = functools.partial(_sizing, plan, workers, ray_address, memory_gb, gpus)
    if dry_run:
        _dry_run(plan, cells, out, sizing, json, until)
        return
    if ray_address is None:
        sizing(_waiting(plan, cells, out, until)[0])  # refuse before a run is made
    from wambench.sweeping.driver import run_sweep  # imports Ray: a second

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
    reporter = Reporter(quiet=json)
    with Store.write(out, command_line()) as store:
        if limit is not None:
            known = store.known()
            cells = [cell for cell in cells if cell.key not in known][:limit]
        for line in plan.notes:
            reporter.note(line)
        try:
            with reporter:
                result = run_sweep(plan, cells, store, options, reporter, until)
        except KeyboardInterrupt:
            done = store.episodes()
            reporter.note(f"stopped: {done} cells are stored; the same command goes on from there")
            raise
        rates = _rates(counts(store))
    share = result.spared / len(cells)
    if json:
        left = {label: one.model_dump() for label, one in result.left.items()}
        summary = asdict(replace(result, left={})) | {"left": left, "spared_share": share}
        print_json(summary | {"out": str(out), "success": rates})
    else:
        print_table(rates, ["policy", "suite", "success", "episodes", "policy_errors", "missing"])
        for label, one in result.left.items():
            print(f"{label}: {one.rounds} rounds: {one.why}")
        if result.left:
            print(f"{result.spared} of {len(cells)} episodes ({100 * share:.0f} %) were spared")
        print(f"stored in {out}; next: wambench report {out}")
    if result.lost:
        raise UserError(
            f"{result.lost} cells failed by infrastructure {attempts} times each and are missing; "
            f"the same command tries them again, wambench runs show {out} says why"
        )
    if broken := [row for row in rates if row["episodes"] == row["policy_errors"] > 0]:
        first = broken[0]
        raise UserError(
            f"policy {first['policy']!r} broke its contract in all {first['episodes']} episodes on "
            f"{first['suite']}"
            + (f", and so in {len(broken) - 1} other rows above" if len(broken) > 1 else "")
            + f"; wambench runs show {out} says how; mend the policy, which gives it new cells"
        )


def _until(
    plan: sweepfile.Plan, pairs: Sequence[str], effect: float | None, look_every: int | None
) -> Until | None:
    """The rule that the options ask for."""
    if not pairs:
        for name, given in (("--effect", effect), ("--look-every", look_every)):
            if given is not None:
                raise UserError(f"{name} {given} is of no use without --until-decided; add that")
        return None
    options: dict[str, Any] = {} if effect is None else {"effect": effect}
    if ALL not in pairs:
        options["pairs"] = [_pair(text, list(plan.choices)) for text in pairs]
    rule = plugins.make_rule(RULE, list(plan.choices), options)
    return Until(RULE, rule, look_every or 1)


def _pair(text: str, labels: Sequence[str]) -> tuple[str, str]:
    """Split "A,B" into two labels, which may hold commas themselves."""
    parts = text.split(",")
    for place in range(1, len(parts)):
        first, second = (",".join(half).strip() for half in (parts[:place], parts[place:]))
        if first in labels and second in labels:
            return first, second
    if len(parts) != 2:
        raise UserError(
            f"--until-decided {text!r} is not two policies with a comma; write "
            f"{labels[0]},{labels[-1]} or {ALL}"
        )
    unknown = next(part.strip() for part in parts if part.strip() not in labels)
    raise UserError(
        f"--until-decided {text!r}: no policy {unknown!r} in this sweep; "
        f"{did_you_mean(unknown, labels)}"
    )


def _sizing(
    plan: sweepfile.Plan,
    workers: int | None,
    ray_address: str | None,
    memory_gb: float | None,
    gpus: int | None,
    waiting: Sequence[Cell],
) -> Sizing | None:
    """What these cells will take here or on the cluster; None: there is nothing to run."""
    asked = {cell.policy for cell in waiting}
    if not asked:
        return None
    nodes = [this_machine(memory_gb, gpus)]
    if ray_address is not None:
        from wambench.sweeping.cluster import Cluster

        cluster = Cluster(ray_address)
        try:
            nodes = cluster.nodes()
        finally:
            cluster.stop()
    return size(plan, workers, nodes, [label for label in plan.choices if label in asked])


def _waiting(
    plan: sweepfile.Plan, cells: Sequence[Cell], out: Path, until: Until | None
) -> tuple[list[Cell], set[str], Mapping[tuple[str, str], tuple[float, int]]]:
    """Cells still to run, keys that are known, and how long episodes took (see ``paces``)."""
    known: set[str] = set()
    left: set[str] = set()
    spent: Mapping[tuple[str, str], tuple[float, int]] = {}
    if (out / STORE_NAME).exists():
        with Store.read(out) as store:
            known, spent = store.known(), paces(store)
            if until is not None:
                left = set(Agenda(plan, cells, store, until).left_before)
    waiting = [cell for cell in cells if cell.key not in known and cell.policy not in left]
    return waiting, known, spent


def _dry_run(
    plan: sweepfile.Plan,
    cells: Sequence[Cell],
    out: Path,
    sizing: Callable[[Sequence[Cell]], Sizing | None],
    as_json: bool,
    until: Until | None,
) -> None:
    waiting, known, spent = _waiting(plan, cells, out, until)
    size = sizing(waiting)
    seconds = Estimator(plan, spent).wall_seconds(
        Counter(cell.kind for cell in waiting), size.workers if size else 1
    )
    rows = [
        {"policy": policy, "suite": suite, "cells": count}
        for (policy, suite), count in Counter((c.policy, c.suite) for c in waiting).items()
    ]
    summary = {
        "cells": len(cells),
        "known": sum(cell.key in known for cell in cells),
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
    most = "at most " if until is not None else ""
    print(
        f"{most}{summary['to_run']} cells to run ({summary['known']} known), about "
        f"{seconds / 60:.1f} minutes with {summary['workers']} workers, "
        f"{summary['memory_mb']} of {summary['available_mb']} MiB"
    )
    if size:
        print(size.available())


def _rates(cells: Sequence[Count]) -> list[dict[str, Any]]:
    """Success by policy and suite; policy errors count as not successful, missing cells do not."""
    ended: dict[tuple[str, str], Counter[str]] = {}
    for count in cells:
        found = ended.setdefault((count.policy, count.suite), Counter())
        found[count.outcome or "missing"] += count.cells
    rows = []
    for (policy, suite), found in ended.items():
        episodes = found.total() - found["missing"]
        rows.append(
            {
                "policy": policy,
                "suite": suite,
                "success": f"{found['success']}/{episodes}",
                "episodes": episodes,
                "policy_errors": found["policy_error"],
                "missing": found["missing"],
            }
        )
    return rows
