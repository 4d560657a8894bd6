"""LIBERO under other lights and on other backgrounds: ``libero_shift_<axis>_<base>``.

LIBERO-Plus' axes of these names need an archive of scene files that no package registry has. These
are our own, made at run time of what LIBERO ships: results on the two are not to be compared.

Variant k of a task is initial state 30 + k of the plain task: the same states, seeds and policy
noise, other pixels. So each episode has a plain one to be paired with.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.libero import bddl, runtime
from tasks.libero.scenes import SceneSuite, goal_file, init_states
from tasks.libero.shift.backgrounds import backgrounds
from tasks.libero.shift.lights import LIGHTS
from tasks.libero.suite import libero_tasks
from wambench.suite import Factors, InitState, Task

if TYPE_CHECKING:
    from tasks.libero.shift.simulator import Dress, ShiftSimulator

BASES = ("spatial", "object", "goal", "10")
ABOUT = {
    "light": "dimmed, tinted, from the side, with hard shadows",
    "background": "other pictures on the table or floor and on the wall",
}
FIRST = 30  # of the plain initial states; those before it are what nano policies were trained on
SUITES = {
    f"libero_shift_{axis}_{base}": (axis, f"libero_{base}") for axis in ABOUT for base in BASES
}


class ShiftSuite(SceneSuite):
    """One base suite's tasks, changed in their looks alone along one axis."""

    def __init__(self, name: str) -> None:
        self._axis, self._base = SUITES[name]
        super().__init__(name, f"{self._base}'s tasks, {ABOUT[self._axis]}", like=self._base)

    def tasks(self) -> Sequence[Task]:
        """The base suite's tasks, with one initial state per variant."""
        return _tasks(self._axis, self._base)

    def compiled(self, task: Task, rendering: str) -> ShiftSimulator:
        """Compile a task's scene, for all its variants."""
        from tasks.libero.shift.simulator import ShiftSimulator

        return ShiftSimulator(
            str(goal_file(self._base, task.index)),
            init_states(self._base, task.index),
            rendering,
            self._dresses(task),
            runtime.pictures(),
        )

    def _dresses(self, task: Task) -> Sequence[Dress]:
        from tasks.libero.shift.simulator import Dress

        if self._axis == "light":
            return [Dress(state, light=one.light) for state, one in enumerate(LIGHTS, FIRST)]
        variants = backgrounds(bddl.problem(goal_file(self._base, task.index)))
        return [Dress(state, paint=dict(one.paint)) for state, one in enumerate(variants, FIRST)]


@functools.cache
def _tasks(axis: str, base: str) -> tuple[Task, ...]:
    out = []
    for plain in libero_tasks(base):
        problem = bddl.problem(goal_file(base, plain.index))
        named = _lights(base, plain) if axis == "light" else _backgrounds(base, plain, problem)
        looks = LIGHTS if axis == "light" else backgrounds(problem)
        told = f"{plain.init_states_hash} {FIRST} {looks}"
        digest = hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
        out.append(Task(plain.index, plain.name, plain.instruction, len(named), digest, named))
    return tuple(out)


def _lights(base: str, plain: Task) -> tuple[InitState, ...]:
    return tuple(
        InitState(
            f"{one.kind} {one.magnitude:g} {one.unit}",
            plain.instruction,
            factors=Factors("light", one.kind, one.magnitude, one.unit, base, plain.name, state),
        )
        for state, one in enumerate(LIGHTS, FIRST)
    )


def _backgrounds(base: str, plain: Task, problem: str) -> tuple[InitState, ...]:
    out = []
    for state, one in enumerate(backgrounds(problem), FIRST):
        count = float(len(one.paint))
        factors = Factors("background", one.kind, count, "surfaces", base, plain.name, state)
        name = ", ".join(f"{surface} {picture}" for surface, picture in one.paint)
        out.append(InitState(name, plain.instruction, factors=factors))
    return tuple(out)


def __getattr__(name: str) -> functools.partial[ShiftSuite]:
    """Entry points: the suites by their names."""
    if name not in SUITES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return functools.partial(ShiftSuite, name)
