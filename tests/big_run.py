"""A made-up run of very many episodes, made in seconds: to see what commands take of it.

``python -m tests.big_run SWEEP.yaml RUN`` fills RUN with an outcome of all but a few cells of a
sweep file, without their courses, as ``wambench export --light`` leaves them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.records import SPEC, make_cell, make_passport
from wambench import sweepfile
from wambench.cells import Cell, PolicyChoice
from wambench.contract import PolicySpec
from wambench.passport import Passport
from wambench.passport import make_passport as passport_of
from wambench.store import Store

AT = "2026-01-01T00:00:00+00:00"
STAGES = ("reset", "physics", "policy", "render", "total")
MISSING, ERRORS, SUCCESSES = 0.01, 0.03, (0.3, 0.9)  # shares; successes from the worst to the best


def grid(policies: int, tasks: int, states: int) -> Iterator[Cell]:
    """Cells of every combination, in the order of a sweep file."""
    for task in range(tasks):
        for state in range(states):
            for policy in range(policies):
                yield make_cell(f"policy {policy}", task=task, init_state=state)


def fill(
    folder: Path,
    cells: Sequence[Cell],
    choices: Iterable[PolicyChoice] = (),
    specs: Mapping[str, PolicySpec] | None = None,
    passport: Passport | None = None,
) -> Path:
    """A run directory in which almost every cell has ended; the same cells give the same."""
    labels = dict.fromkeys(cell.policy for cell in cells)
    random = np.random.default_rng(0)
    chance = dict(zip(labels, np.linspace(*SUCCESSES, len(labels)), strict=True))
    drawn = random.random((len(cells), 1 + len(STAGES)))
    steps = random.integers(40, 520, len(cells)).tolist()

    def rows(passport_id: str) -> Iterator[tuple[object, ...]]:
        for cell, at, (luck, *times) in zip(cells, steps, drawn.tolist(), strict=True):
            if luck < MISSING:
                continue
            failed = "policy_error" if luck < MISSING + ERRORS else "failure"
            outcome = "success" if luck > 1 - chance[cell.policy] else failed
            fault = "ValueError: no action" if outcome == "policy_error" else ""
            seconds = json.dumps(dict(zip(STAGES, times, strict=True)))
            ended = (outcome, at, at // 8, fault, cell.key[:16], b"", seconds, AT)
            yield cell.key, passport_id, *ended

    with Store.write(folder, "made up") as store:
        passport = passport or make_passport()
        store.set_passport(passport)
        specs = specs or dict.fromkeys(labels, SPEC)
        store.add_plan(cells, choices or [PolicyChoice(one, one) for one in labels], specs)
        with store.connection as database:
            database.executemany(
                "INSERT INTO episodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows(passport.id)
            )
            lost = cells[:: max(1, len(cells) // 1000)]
            database.executemany(
                "INSERT INTO attempts (cell_key, kind, message, traceback, at) "
                "VALUES (?, 'stalled', 'no sign of life', '', ?)",
                [(cell.key, AT) for cell in lost],
            )
    return folder


def main(file: Path, folder: Path) -> None:
    """Fill ``folder`` with what the sweep file asks for."""
    plan = sweepfile.plan(sweepfile.read(file))
    specs = {label: policy.spec for label, policy in plan.policies.items()}
    parts = list(plan.suites.values()), list(plan.choices.values()), plan.policies
    passport = passport_of(plan.protocol, *parts, ())
    fill(folder, plan.cells, plan.choices.values(), specs, passport)
    print(f"{len(plan.cells)} cells in {folder}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
