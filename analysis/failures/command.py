"""``wambench failures``: why episodes of a run failed, a table per policy."""

from __future__ import annotations

import json as json_module
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from analysis.failures.definitions import DEFINITIONS
from analysis.failures.reading import Explained, explain_run
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError
from wambench.naming import file_name
from wambench.store import Store
from wambench.store import counts as cells_by_outcome

SAVED = "failures.json"


def command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    episodes: Annotated[
        bool, typer.Option("--episodes", help="One row per episode, with its evidence.")
    ] = False,
    gallery: Annotated[
        Path | None,
        typer.Option(help="Directory for a strip of frames around each failing moment (PNG)."),
    ] = None,
    json: Json = False,
) -> None:
    """Say why the episodes of a run failed, from their stored snapshots.

    What was found is kept as failures.json in the run directory, for its report.

    Example: wambench failures runs/quick --episodes
    """
    if gallery is not None:
        _make(gallery)
    with Store.read(run) as store:
        known = store.policies()
        policies, has_arms = list(known), any(choice.timing for choice, _ in known.values())
        finished = any(count.outcome for count in cells_by_outcome(store))
        found = explain_run(
            store, strips=gallery is not None, tell=lambda line: print(line, file=sys.stderr)
        )
    rows = [_row(one) for one in found.explained]
    content = {
        "definitions": dict(DEFINITIONS),
        "policies": counts(found.explained, policies),
        "episodes": rows,
        "problems": list(found.problems),
    }
    _keep(run / SAVED, content)
    if gallery is not None:
        for one in found.explained:
            if one.strip is not None:
                Image.fromarray(one.strip).save(gallery / f"{_name(one)}.png")
    if json:
        print_json(content)
        return
    for problem in found.problems:
        print(f"not read: {problem}", file=sys.stderr)
    if not rows and found.problems:
        print("no episode was explained")
    elif not rows:
        print("no episode failed" if finished else "no episode has finished")
    elif episodes:
        print_table(rows, ["policy", "task", "init_state", "seed", "label", "step", "evidence"])
    else:
        table = counts(found.explained, policies)
        used = [label for label in DEFINITIONS if any(label in row for row in table.values())]
        if has_arms:  # too many to stand side by side
            print_table(
                ({"policy": p, **{k: table[p].get(k, 0) for k in used}} for p in policies),
                ["policy", *used],
            )
            return
        print_table(
            ({"failure": label, **{p: table[p].get(label, 0) for p in policies}} for label in used),
            ["failure", *policies],
        )


def counts(explained: Sequence[Explained], policies: Sequence[str]) -> dict[str, dict[str, int]]:
    """Policy -> label -> failed episodes; labels that do not occur are left out."""
    out: dict[str, dict[str, int]] = {}
    for policy in policies:
        found = Counter[str](one.failure.label for one in explained if one.cell.policy == policy)
        out[policy] = {label: found[label] for label in DEFINITIONS if found[label]}
    return out


def _row(one: Explained) -> dict[str, Any]:
    cell = one.cell
    return {
        "policy": cell.policy,
        "task": f"{cell.suite}/{cell.task_index}",
        "init_state": cell.init_state,
        "seed": cell.seed,
        "steps": one.steps,
        **asdict(one.failure),
        "key": cell.key,
    }


def _name(one: Explained) -> str:
    cell, label = one.cell, one.failure.label.replace(" ", "-")
    place = f"{file_name(cell.suite)}-{cell.task_index}-{cell.init_state}-{cell.seed}"
    return f"{label}-{file_name(cell.policy)}-{place}"


def _keep(file: Path, content: dict[str, Any]) -> None:
    """Write it whole or not at all; a run that cannot be written to is explained all the same."""
    part = file.with_name(file.name + ".part")
    try:
        part.write_text(json_module.dumps(content, indent=1) + "\n", encoding="utf-8")
        part.replace(file)
    except OSError as error:
        print(f"not kept in {file}: {error.strerror or error}", file=sys.stderr)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make {str(folder)!r}: {error.strerror}; choose another --gallery"
        ) from None
