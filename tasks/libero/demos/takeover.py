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
LIFTED_M = 0.03  # higher than at rest an object is lifted
LEAD_STEPS = 12  # from where a closing hand can still be led to a better place (0.6 s)
APART_STEPS = 8  # two moments nearer than this show the same
PATIENCE_STEPS = 300  # the expert's, to reach the goal; a whole task takes it 130


def moments(facts: Sequence[Facts]) -> list[int]:
    """Steps of a failed episode at which the expert should take over, in order.

    Shortly before the fingers first closed on nothing and right after it; where something that
    had been lifted was out of the fingers again; if neither happened, where the hand was nearest
    to what it should move.
    """
    found = []
    subjects = [goal.subject for goal in facts[0].goals]
    closed = next((t for t, now in enumerate(facts) if _on_nothing(now, subjects)), None)
    if closed is not None:
        found += [max(0, closed - LEAD_STEPS), closed]
    for name in subjects:
        if (lost := _lost(facts, name)) is not None:
            found.append(lost)
    if not found:
        distances = [min(goal.distance for goal in now.goals) for now in facts]
        found = [int(np.argmin(distances))]
    kept: list[int] = []
    for step in sorted(found):
        if not kept or step - kept[-1] >= APART_STEPS:
            kept.append(step)
    return kept


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


def _lost(facts: Sequence[Facts], name: str) -> int | None:
    """The first step after a lift at which an object is out of the fingers and not where it goes.

    None for what is no loose object, was never lifted or never lost.
    """
    if name not in facts[0].objects:
        return None
    rest, lifted = float(facts[0].objects[name][2]), False
    for step, now in enumerate(facts):
        held = now.touch(FINGERS, name)
        lifted |= held and float(now.objects[name][2]) - rest > LIFTED_M
        if lifted and not held and now.touching(name) - {FINGERS}:
            met = all(goal.holds for goal in now.goals if goal.subject == name)
            return None if met else step
    return None
