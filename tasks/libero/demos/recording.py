"""Run a stored episode once more and note all that a demonstration holds.

The expert is asked at every step as it was when the episode was made, so the label of a step is
what it told the policy then, whatever was executed: an expert plans over many steps, and its
action depends on the states before and not on the present one alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wambench.cells import Cell
from wambench.contract import orient
from wambench.episode import fit_image, reset
from wambench.errors import InfrastructureFailure
from wambench.protocols import Protocol
from wambench.suite import InitState

if TYPE_CHECKING:  # MuJoCo may be imported only once its OpenGL is chosen
    from tasks.libero.simulator import LiberoSimulator

CAMERAS = ("agentview", "wrist")
PROPRIO = ("eef_pos", "eef_axis_angle", "eef_quat", "gripper_qpos", "joint_pos")


@dataclass(frozen=True)
class Episode:
    """A stored episode of T steps.

    ``actions`` [T, 7], ``digests`` uint64 [T + 1] of the states, ``snapshots`` [T + 1, n] where
    they are looked at.
    """

    cell: Cell
    actions: NDArray[np.float64]
    digests: NDArray[np.uint64]
    snapshots: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Demonstration:
    """The same with all it holds; row t of every array is of the moment before action t.

    ``states``: float64 [T, 1 + nq + nv]. ``proprio``: name -> float64 [T, dim]. ``frames``:
    camera -> uint8 [n, H, W, 3], row 0 at the bottom ("opengl"), n = ceil(T / draw_every): of the
    moments before actions 0, draw_every, 2 draw_every, …
    """

    episode: Episode
    expert_actions: NDArray[np.float64]
    states: NDArray[np.float64]
    proprio: Mapping[str, NDArray[np.float64]]
    frames: Mapping[str, NDArray[np.uint8]]
    draw_seconds: float  # of CPU time
    other_seconds: float


class Tape:
    """Notes a simulator's present moment, again and again, and draws every so many.

    Attributes:
        labels: what the expert said at each moment, [7].
    """

    def __init__(self, simulator: LiberoSimulator, rules: Protocol, draw_every: int) -> None:
        self.labels: list[NDArray[np.float64]] = []
        self._simulator, self._rules, self._every = simulator, rules, draw_every
        self._states: list[NDArray[np.float64]] = []
        self._proprio: dict[str, list[NDArray[np.float64]]] = {name: [] for name in PROPRIO}
        self._frames: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in CAMERAS}
        self._began, self._drawing = process_time(), 0.0

    def note(self) -> NDArray[np.float64]:
        """Note all of this moment; returns the expert's action."""
        simulator = self._simulator
        if len(self._states) % self._every == 0:
            self._draw()
        self._states.append(simulator.state())
        for name, values in simulator.proprio(PROPRIO).items():
            self._proprio[name].append(values)
        self.labels.append(simulator.privileged(["expert_action"])["expert_action"])
        return self.labels[-1]

    def _draw(self) -> None:
        simulator, rules, since = self._simulator, self._rules, process_time()
        drawn = simulator.draw(simulator.snapshot(), CAMERAS, rules.render_size)
        for name, frame in drawn.items():
            # Fitted first, as a policy gets it: the filter might not round a mirror image alike.
            self._frames[name].append(as_stored(fit_image(frame, rules), rules))
        self._drawing += process_time() - since

    def demonstration(self, episode: Episode) -> Demonstration:
        """All that was noted, as of an episode of so many steps."""
        return Demonstration(
            episode=episode,
            expert_actions=np.array(self.labels),
            states=np.array(self._states),
            proprio={name: np.array(values) for name, values in self._proprio.items()},
            frames={name: np.array(values) for name, values in self._frames.items()},
            draw_seconds=self._drawing,
            other_seconds=process_time() - self._began - self._drawing,
        )


def started(
    cell: Cell, simulator: LiberoSimulator, rules: Protocol, settle: NDArray[np.float64]
) -> None:
    """Put the simulator to where the episode of a cell begins."""
    # Demonstrations are of plain initial states.
    reset(cell, rules, InitState(str(cell.init_state), ""), simulator)
    for _ in range(rules.settle_steps):
        simulator.step(settle)


def record(
    episode: Episode,
    simulator: LiberoSimulator,
    rules: Protocol,
    settle: NDArray[np.float64],
    draw_every: int = 1,
) -> Demonstration:
    """Replay ``episode`` in its task, drawing under ``rules`` as an evaluation would.

    Raises:
        InfrastructureFailure: a state differs from the stored one, or the goal is not reached.
    """
    cell, tape = episode.cell, Tape(simulator, rules, draw_every)
    started(cell, simulator, rules, settle)
    for step, action in enumerate(episode.actions):
        check_state(simulator, episode, step)
        tape.note()
        simulator.step(action)
    check_state(simulator, episode, len(episode.actions))
    if not simulator.success():
        raise InfrastructureFailure(f"{cell.describe()}: the stored success is none in the replay")
    return tape.demonstration(episode)


def as_stored(image: NDArray[np.uint8], rules: Protocol) -> NDArray[np.uint8]:
    """Turn an image [H, W, 3] from the protocol's orientation to LIBERO's own.

    Every orientation undoes itself when it is applied twice.
    """
    return orient(orient(image, rules.orientation), "opengl")


def check_state(simulator: LiberoSimulator, episode: Episode, step: int) -> None:
    """Raise InfrastructureFailure unless the simulator is where the episode was at a step."""
    if simulator.digest() != int(episode.digests[step]):
        raise InfrastructureFailure(
            f"{episode.cell.describe()}: the state after {step} steps is not the stored one; "
            "replay it with the packages that the run was made with"
        )
