"""The toy suite with perturbed initial states: another sentence, a later start, noise on frames.

Variants 0 and 1 of every task change the instruction, 2 to 5 the start by 1 to 4 cm; 6 is noise on
the frames; 7 is locked. Task 2 is locked as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tests import toy
from wambench import Factors, InitState, Suite, Task
from wambench.errors import UserError

LOCK = "the toy's spare parts are missing; run make spare-parts"
SHIFTS = (0.0, 0.0, 0.01, 0.02, 0.03, 0.04, 0.0, 0.0)
AXES = ("words", "words", "start", "start", "start", "start", "noise", "noise")
BASE_STATE = 1


def named(task: Task) -> tuple[InitState, ...]:
    return tuple(
        InitState(
            name=f"{task.name} {axis} {number}",
            instruction=f"please {task.name}" if axis == "words" else task.instruction,
            as_released=f"{task.name} view {number}",
            factors=Factors(
                axis, "", shift * 100 if axis == "start" else None, "cm",
                "toy", task.name, BASE_STATE,
            ),
            locked=LOCK if number == len(AXES) - 1 else "",
        )
        for number, (axis, shift) in enumerate(zip(AXES, SHIFTS, strict=True))
    )  # fmt: skip


class PerturbedSimulator(toy.ToySimulator):
    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        if named(self._task)[init_state].locked:
            raise UserError(LOCK)
        super().reset(BASE_STATE, seed, seed_once_per_task=seed_once_per_task)
        self._position += SHIFTS[init_state]
        self._noisy = AXES[init_state] == "noise"

    def sense(
        self, frames: Mapping[str, NDArray[np.uint8]], snapshot: NDArray[np.float64]
    ) -> Mapping[str, NDArray[np.uint8]]:
        return {name: 255 - frame for name, frame in frames.items()} if self._noisy else frames


class PerturbedToy(Suite):
    spec = toy.SPEC.model_copy(
        update={"name": "toy_perturbed", "like": "toy", "default_max_steps": 3}
    )

    def tasks(self) -> Sequence[Task]:
        return [
            Task(
                task.index, task.name, task.instruction, len(AXES), "perturbed", named(task),
                locked=LOCK if task.index == 2 else "",
            )
            for task in toy.ToySuite().tasks()
        ]  # fmt: skip

    def fingerprint(self) -> Mapping[str, str]:
        return {"toy": "1"}

    def open(self, task: Task, rendering: str) -> PerturbedSimulator:
        return PerturbedSimulator(task)
