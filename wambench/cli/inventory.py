"""``wambench runs``: what run directories there are, and what is in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from wambench.cli.output import Json, print_json, print_table
from wambench.cli.runs import RunFolder
from wambench.errors import UserError
from wambench.store import STORE_NAME, Count, Store, counts, faults, troubles

app = typer.Typer(
    name="runs",
    help="List run directories, or show one.",
    invoke_without_command=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def runs(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--in", help="Folder to look in, folders below it too.")
    ] = Path("runs"),
    json: Json = False,
) -> None:
    """List the run directories below a folder.

    Example: wambench runs --in runs
    """
    if context.invoked_subcommand:
        return
    if not folder.is_dir():
        raise UserError(f"no folder {str(folder)!r}; name one with --in")
    rows = []
    for file in sorted(folder.rglob(STORE_NAME)):
        try:
            rows.append({"run": str(file.parent), **summary(file.parent)})
        except UserError as error:  # a broken one must not hide the others
            rows.append({"run": str(file.parent), "problem": str(error)})
    if json:
        print_json(rows)
        return
    columns = ["run", "protocol", "policies", "suites", "done", "cells", "last_written"]
    sound = [row for row in rows if "problem" not in row]
    if sound:
        print_table([row | {"policies": len(row["policies"])} for row in sound], columns)
    for row in rows:
        if "problem" in row:
            print(f"cannot read: {row['problem']}")
    if not rows:
        print(f"no run directories in {folder}")


@app.command("show")
def show(run: RunFolder, json: Json = False) -> None:
    """Show what a run holds: cells by policy, its protocol, versions, machine and commands.

    Example: wambench runs show runs/quick
    """
    with Store.read(run) as store:
        passport, invocations, stopping = store.passport(), store.invocations(), store.stopping()
        cells, wrong = counts(store), _wrong(store)
    about = _summary(cells, invocations)
    ended: dict[str, Counter[str]] = {}
    for count in cells:
        ended.setdefault(count.policy, Counter())[count.outcome or "missing"] += count.cells
    kinds = ("success", "failure", "policy_error", "missing")
    rows = [
        {"policy": label, **{kind: found[kind] for kind in kinds}} for label, found in ended.items()
    ]
    if json:
        content, rule = (
            known.model_dump(mode="json") if known else None for known in (passport, stopping)
        )
        print_json(
            {"run": str(run), **about, "outcomes": rows, "passport": content, "stopping": rule,
             "wrong": wrong, "invocations": [dict(row) for row in invocations]}
        )  # fmt: skip
        return
    if rows:
        print(f"{run}: {about['done']} of {about['cells']} cells, protocol {about['protocol']}")
        print_table(rows, ["policy", *kinds])
    else:
        print(f"{run}: no cells yet")
    for label, left in stopping.left.items() if stopping else ():
        print(f"{label} ended early, after {left.rounds} rounds: {left.why}")
    for line in wrong:
        print(line)
    if passport is None:
        print("no passport: no sweep got as far as opening a simulator")
        return
    print(f"passport {passport.id}")
    for part, facts in passport.fingerprint.items():
        print(f"  {part}: {', '.join(f'{name} {value}' for name, value in facts.items())}")
    for name in ("wambench", "commit", "python", "machine", "cpu"):
        print(f"  {name}: {passport.info.get(name, 'not recorded')}")
    for row in invocations:
        print(f"  {row['started_at']}: {row['command'] or 'not recorded'}: {row['ended']}")


def _wrong(store: Store) -> list[str]:
    """What broke, one line each: contracts by policies, and the machinery."""
    lines = [
        f"policy error of {fault.policy}, {fault.episodes} episodes: {fault.fault}"
        for fault in faults(store)
    ]
    lines += [
        f"infrastructure ({trouble.kind}), {trouble.failures} times; last: {trouble.last}"
        for trouble in troubles(store)
    ]
    return lines


def summary(run: Path) -> dict[str, Any]:
    """One run in a few values; UserError if it cannot be read."""
    with Store.read(run) as store:
        return _summary(counts(store), store.invocations())


def _summary(cells: Sequence[Count], invocations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "protocol": ", ".join(sorted({count.protocol for count in cells})),
        "policies": list(dict.fromkeys(count.policy for count in cells)),
        "suites": ", ".join(sorted({count.suite for count in cells})),
        "done": sum(count.cells for count in cells if count.outcome is not None),
        "cells": sum(count.cells for count in cells),
        "last_written": invocations[-1]["started_at"] if invocations else "",
    }
