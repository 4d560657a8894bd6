"""Toy cells and records, for tests that need many without a simulator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wambench.cells import Cell, PolicyChoice, digest_of
from wambench.contract import PolicySpec
from wambench.episode import EpisodeRecord, Outcome
from wambench.passport import Passport
from wambench.store import Store
from wambench.trace import Trace

SPEC = PolicySpec(paradigm="scripted", about="made up")


def make_cell(
    policy: str = "p", *, task: int = 0, init_state: int = 0, seed: int = 0, made_by: str = ""
) -> Cell:
    """A cell; ``made_by`` stands for whatever else moves its key."""
    key = digest_of([policy, task, init_state, seed, made_by])
    return Cell(key, policy, "wambench-1", "toy", task, f"task {task}", init_state, seed)


def grid(policies: str = "pq", tasks: int = 2, init_states: int = 3) -> list[Cell]:
    """Cells of every combination."""
    return [
        make_cell(policy, task=task, init_state=state)
        for task in range(tasks)
        for state in range(init_states)
        for policy in policies
    ]


def make_record(cell: Cell, *, outcome: Outcome | None = None, fault: str = "") -> EpisodeRecord:
    """A made-up result that the cell's key determines."""
    generator = np.random.default_rng(int(cell.key[:8], 16))
    steps = int(generator.integers(1, 30))
    trace = Trace(
        generator.normal(size=(steps, 2)),
        generator.normal(size=(steps + 1, 3)),
        generator.integers(0, 2**64, steps + 1, dtype=np.uint64),
    )
    ended = outcome or ("success" if steps % 2 else "failure")
    return EpisodeRecord(cell, ended, steps, steps // 8 + 1, fault, trace, {"total": steps / 100})


def make_passport(**fingerprint: Any) -> Passport:
    """A passport; its fingerprint is ``engine`` and what is given."""
    return Passport(
        protocol={"name": "wambench-1", "settle_steps": 10},
        fingerprint={"engine": {"episode_version": 1}, **fingerprint},
        info={"probes": {}},
    )


def plan_and_add(store: Store, planned: Sequence[Cell], done: Iterable[Cell]) -> None:
    """Record a plan and results of some of its cells, as a sweep does."""
    labels = {cell.policy: SPEC for cell in planned}
    store.add_plan(planned, [PolicyChoice(label, label) for label in labels], labels)
    for cell in done:
        store.add_episode(make_record(cell))


def make_run(
    folder: Path, planned: Sequence[Cell], done: Iterable[Cell] | None = None, **fingerprint: Any
) -> Path:
    """A run directory; ``done`` None: every planned cell, in that order."""
    with Store.write(folder, "a test") as store:
        store.set_passport(make_passport(**fingerprint))
        plan_and_add(store, planned, planned if done is None else done)
    return folder
