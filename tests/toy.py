"""A point robot on a line: the smallest suite that fulfils the contract, as a stranger's package.

It imports nothing of the project but ``wambench``; tests install a copy of this file by entry
point. The point coasts to rest while it settles; it must reach the goal, in task 2 with its
gripper closed. The seed moves the goal a little, as LIBERO's moves fixtures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wambench import ActionSpec, ProprioField, Simulator, Suite, SuiteSpec, Task

GOALS = {"go left": -0.8, "go right": 0.8, "grasp in the middle": 0.3}
INIT_STATES = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])

SPEC = SuiteSpec(
    name="toy",
    version=1,
    about="a point on a line",
    simulator="toy",
    control_hz=10,
    cameras=("agentview",),
    proprio={"position": ProprioField(dim=1, unit="m", about="of the point")},
    privileged={"expert_action": 2},
    action=ActionSpec(
        dim=2,
        frame="world",
        mode="delta",
        translation_unit_m=0.1,
        rotation="none",
        rotation_unit_rad=1.0,
        gripper="negative_opens",
        low=-1.0,
        high=1.0,
    ),
    settle_action=(0.0, -1.0),
    renderings={"exact": "the only one"},
    default_max_steps=40,
    memory_mb=100,
    step_seconds=0.001,
    look_seconds=0.001,
    open_seconds=1.0,
)


class ToySimulator(Simulator):
    """One task. ``looks`` records the cameras of every call of :meth:`draw`."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.steps = 0
        self.looks: list[Sequence[str]] = []

    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        generator = np.random.default_rng(seed)
        offsets = generator.uniform(-0.05, 0.05, init_state + 1)
        self._goal = GOALS[self._task.name] + offsets[-1 if seed_once_per_task else 0]
        self._position, self._velocity, self._grip = INIT_STATES[init_state], 0.08, -1.0
        self.steps = 0

    def step(self, action: NDArray[np.float64]) -> None:
        self._position += self._velocity + 0.1 * action[0]
        self._velocity *= 0.5
        self._grip = float(action[1])
        self.steps += 1

    def success(self) -> bool:
        closed = self._task.index != 2 or self._grip > 0
        return bool(abs(self._position - self._goal) < 0.05 and closed)

    def snapshot(self) -> NDArray[np.float64]:
        return np.array([self._position, self._goal])

    def draw(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """The goal is a green column, the point a red one, upper half only."""
        self.looks.append(cameras)
        height, width = size
        image = np.zeros((height, width, 3), np.uint8)
        for value, channel in zip(snapshot, (0, 1), strict=True):
            column = int(np.clip((value + 1) / 2, 0, 1) * (width - 1))
            image[: height // 2, column, channel] = 255
        return dict.fromkeys(cameras, image)

    def proprio(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        return {name: np.array([self._position]) for name in names}

    def privileged(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        move = np.clip((self._goal - self._position - self._velocity) / 0.1, -1, 1)
        return {name: np.array([move, 1.0]) for name in names}

    def digest(self) -> int:
        state = np.array([self._position, self._velocity, self._grip, self._goal])
        return int.from_bytes(hashlib.blake2b(state.tobytes(), digest_size=8).digest(), "little")

    def close(self) -> None:
        pass


class ToySuite(Suite):
    spec = SPEC

    def tasks(self) -> Sequence[Task]:
        states = hashlib.blake2b(INIT_STATES.tobytes(), digest_size=16).hexdigest()
        return [Task(i, name, name, len(INIT_STATES), states) for i, name in enumerate(GOALS)]

    def fingerprint(self) -> Mapping[str, str]:
        return {"toy": "1"}

    def open(self, task: Task, rendering: str) -> ToySimulator:
        return ToySimulator(task)
