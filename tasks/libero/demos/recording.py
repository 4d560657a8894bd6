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

from wambench.cells import Cell, simulator_seed
from wambench.contract import orient
from wambench.episode import fit_image
from wambench.errors import InfrastructureFailure
from wambench.protocols import Protocol

if TYPE_CHECKING:  # MuJoCo may be imported only once its OpenGL is chosen
    from tasks.libero.simulator import LiberoSimulator

CAMERAS = ("agentview", "wrist")
PROPRIO = ("eef_pos", "eef_axis_angle", "eef_quat", "gripper_qpos", "joint_pos")


@dataclass(frozen=True)
class Episode:
    """A stored success of T steps: ``actions`` [T, 7], ``digests`` uint64 [T + 1] of the states."""

    cell: Cell
    actions: NDArray[np.float64]
    digests: NDArray[np.uint64]


@dataclass(frozen=True)
class Demonstration:
    """The same with all it holds; row t of every array is of the moment before action t.

    ``states``: float64 [T, 1 + nq + nv]. ``proprio``: name -> float64 [T, dim]. ``frames``:
    camera -> uint8 [T, H, W, 3], row 0 at the bottom ("opengl").
    """

    episode: Episode
    expert_actions: NDArray[np.float64]
    states: NDArray[np.float64]
    proprio: Mapping[str, NDArray[np.float64]]
    frames: Mapping[str, NDArray[np.uint8]]
    draw_seconds: float  # of CPU time
    other_seconds: float


def record(
    episode: Episode, simulator: LiberoSimulator, rules: Protocol, settle: NDArray[np.float64]
) -> Demonstration:
    """Replay ``episode`` in its task, drawing under ``rules`` as an evaluation would.

    Raises:
        InfrastructureFailure: a state differs from the stored one, or the goal is not reached.
    """
    cell = episode.cell
    began, drawing = process_time(), 0.0
    simulator.reset(
        cell.init_state,
        simulator_seed(rules, cell.init_state),
        seed_once_per_task=rules.simulator_seeding == "once_per_task",
    )
    for _ in range(rules.settle_steps):
        simulator.step(settle)
    labels, states = [], []
    proprio: dict[str, list[NDArray[np.float64]]] = {name: [] for name in PROPRIO}
    frames: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in CAMERAS}
    for step, action in enumerate(episode.actions):
        _check_state(simulator, episode, step)
        states.append(simulator.state())
        for name, values in simulator.proprio(PROPRIO).items():
            proprio[name].append(values)
        since = process_time()
        drawn = simulator.draw(simulator.snapshot(), CAMERAS, rules.render_size)
        for name, frame in drawn.items():
            # Fitted first, as a policy gets it: the filter might not round a mirror image alike.
            frames[name].append(as_stored(fit_image(frame, rules), rules))
        drawing += process_time() - since
        labels.append(simulator.privileged(["expert_action"])["expert_action"])
        simulator.step(action)
    _check_state(simulator, episode, len(episode.actions))
    if not simulator.success():
        raise InfrastructureFailure(f"{cell.describe()}: the stored success is none in the replay")
    return Demonstration(
        episode=episode,
        expert_actions=np.array(labels),
        states=np.array(states),
        proprio={name: np.array(values) for name, values in proprio.items()},
        frames={name: np.array(values) for name, values in frames.items()},
        draw_seconds=drawing,
        other_seconds=process_time() - began - drawing,
    )


def as_stored(image: NDArray[np.uint8], rules: Protocol) -> NDArray[np.uint8]:
    """Turn an image [H, W, 3] from the protocol's orientation to LIBERO's own.

    Every orientation undoes itself when it is applied twice.
    """
    return orient(orient(image, rules.orientation), "opengl")


def _check_state(simulator: LiberoSimulator, episode: Episode, step: int) -> None:
    if simulator.digest() != int(episode.digests[step]):
        raise InfrastructureFailure(
            f"{episode.cell.describe()}: the state after {step} steps is not the stored one; "
            "replay it with the packages that the run was made with"
        )
