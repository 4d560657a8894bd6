"""Runs of plain and perturbed cells with outcomes by rule, for tests of what perturbations cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.test_report import good_passport, record_of
from wambench.cells import Cell, PolicyChoice, digest_of
from wambench.contract import PolicySpec
from wambench.store import Store
from wambench.suite import Factors

BASE, TASKS, STATES = "base", 12, 10
AXES: Mapping[str, Sequence[tuple[str, float | None, str]]] = {
    "camera": [("turn", float(10 * (n // 2 + 1)), "deg") for n in range(STATES)],
    "words": [("", None, "")] * STATES,
    "noise": [("fog" if n % 2 else "blur", float(n // 2), "") for n in range(STATES)],
}
Ends = Callable[[str, int, int, float], bool | None]
"""(Axis, empty for a plain cell; task; initial state; a number drawn for the cell) -> success."""


def name(task: int) -> str:
    return f"task {task}"


def factors(axis: str, task: int, state: int, anew: bool = False) -> Factors:
    kind, magnitude, unit = AXES[axis][state]
    return Factors(axis, kind, magnitude, unit, BASE, name(task), None if anew else 0)


def suite(axis: str) -> str:
    return f"{BASE}_{axis}" if axis else BASE


def cell(policy: str, axis: str, task: int, state: int, seed: int = 0) -> Cell:
    key = digest_of([policy, axis, task, state, seed])
    return Cell(key, policy, "wambench-1", suite(axis), task, name(task), state, seed)


def by_rate(plain: float, lost: Mapping[str, float]) -> Ends:
    """Successes at a rate, less so much on each axis."""
    return lambda axis, task, state, draw: draw < plain - lost.get(axis, 0.0)


def make(
    folder: Path,
    policies: Mapping[str, Ends],
    *,
    axes: Sequence[str] = tuple(AXES),
    plain_states: Sequence[int] = (0,),
    seeds: Sequence[int] = (0,),
    anew: Sequence[str] = (),
    without: Callable[[Cell], bool] = lambda cell: False,
) -> Path:
    """A run; ``anew``: axes without base states; ``without``: cells that nobody asks for."""
    with Store.write(folder, "wambench sweep made-up.yaml") as store:
        store.set_passport(good_passport())
        for label, ends in policies.items():
            scripted = label in ("expert", "random")
            spec = PolicySpec(
                paradigm="scripted" if scripted else "vla",
                track="scripted" if scripted else "nano",
                about="made up",
            )
            cells = [
                (axis, cell(label, axis, task, state, seed))
                for axis in ("", *axes)
                for task in range(TASKS)
                for state in (range(STATES) if axis else plain_states)
                for seed in seeds
            ]
            cells = [(axis, one) for axis, one in cells if not without(one)]
            told = [
                (
                    one,
                    f"{axis} {one.init_state}",
                    factors(axis, one.task_index, one.init_state, axis in anew),
                )
                for axis, one in cells
                if axis
            ]
            choice = PolicyChoice(label, label)
            store.add_plan([one for _, one in cells], [choice], {label: spec}, told)
            for axis, one in cells:
                drawn = np.random.default_rng(int(one.key[:8], 16)).random()
                won = ends(axis, one.task_index, one.init_state, drawn)
                if won is not None:
                    store.add_episode(record_of(one, "success" if won else "failure"))
    return folder
