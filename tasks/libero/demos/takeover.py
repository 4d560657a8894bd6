"""Where a policy went wrong, and what the expert does from there: dataset aggregation.

A policy that only ever saw the expert's states errs in states the expert never visits (Ross et
al., "A reduction of imitation learning and structured prediction to no-regret online learning",
2011). So its stored episode is replayed up to where it erred, and there a fresh expert takes over
until the goal is reached. What the policy did on the way is not recorded, only where it led.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.libero.demos.recording import Demonstration, Episode, Tape, check_state, started
from wambench.facts import FINGERS, Facts
from wambench.protocols import Protocol

if TYPE_CHECKING:  # MuJoCo may be imported only once its OpenGL is chosen
    from tasks.libero.simulator import LiberoSimulator

EMPTY_M = 0.005  # between the pads: less, and there is nothing between them
APART_STEPS = 8  # two moments nearer than this show the same
MOST = 3  # moments of an episode; who snaps at nothing all the time is not heard more than others
PATIENCE_STEPS = 300  # the expert's, to reach the goal; a whole task takes it 130


def moments(facts: Sequence[Facts]) -> list[int]:
    """Steps of a failed episode at which the expert should take over, in order.

    Whenever the fingers have just shut on nothing: a grasp missed, or what was held is lost. In
    these states a policy feels that it erred. Shortly before, all that it sees of a grasp that will
    miss is a pixel or two: taught to turn back there, it turns back from good grasps, too.
    """
    subjects = [goal.subject for goal in facts[0].goals]
    found: list[int] = []
    was_shut = False
    for step, now in enumerate(facts):
        is_shut = _on_nothing(now, subjects)
        is_apart = not found or step - found[-1] >= APART_STEPS
        if is_shut and not was_shut and is_apart:
            found.append(step)
        was_shut = is_shut
    return found[:MOST]


def record_takeover(
    episode: Episode,
    step: int,
    simulator: LiberoSimulator,
    rules: Protocol,
    settle: NDArray[np.float64],
    draw_every: int = 1,
) -> Demonstration | None:
    """Replay ``step`` steps of ``episode``, then let the expert act and record that.

    None if the expert does not reach the goal from there.

    Raises:
        InfrastructureFailure: a state on the way differs from the stored one.
    """
    started(episode.cell, simulator, rules, settle)
    for number, action in enumerate(episode.actions[:step]):
        check_state(simulator, episode, number)
        simulator.step(action)
    check_state(simulator, episode, step)
    tape = Tape(simulator, rules, draw_every)
    for _ in range(PATIENCE_STEPS):
        simulator.step(tape.note())
        if simulator.success():
            executed = np.array(tape.labels)
            return tape.demonstration(Episode(episode.cell, executed, np.array([], np.uint64)))
    return None


def _on_nothing(now: Facts, subjects: Sequence[str]) -> bool:
    """Whether the fingers are shut with nothing between them."""
    return now.opening < EMPTY_M and not any(now.touch(FINGERS, name) for name in subjects)
