"""Failures on purpose: what the failure microscope must be able to tell apart.

Each kind plays the suite's expert up to a point and then does one thing wrong, from the
simulator's state. It is closed-loop all the way, so it fails alike in every task.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wambench import EpisodeStart, Observation, Policy, PolicySpec, UserError
from wambench.errors import did_you_mean

Action = NDArray[np.float64]
Actions = Iterator[Action]
OPEN, CLOSED = -1.0, 1.0
AT = 0.01  # m: so near a place the hand is there
UP = np.array([0.0, 0.0, 1.0])
RISE = 0.15  # m above the ground that things are carried over others, or dropped from
SWING_STEPS = 4  # to each side; twice that is one period
NEARLY = 0.045  # m from its place, where an object is stopped
SLOW_FROM, SLOWLY = 0.12, 0.3  # m from its place; share of the expert's speed from there on
RESTING = 3  # steps in a row in which an object touches something, so it stands
LET_GO = 20  # steps until the fingers are so wide open that they take nothing up with them
DEATH_STEP = 20


class Episode:
    """One episode: what is seen now, and the motions that failures are made of."""

    def __init__(self, start: EpisodeStart, kind: str) -> None:
        self._unit, self._dim = start.action.translation_unit_m, start.action.dim
        self.seen: Observation
        self._actions = KINDS[kind](self)

    def act(self, seen: Observation) -> Action:
        """The next action [A]."""
        self.seen = seen
        return next(self._actions)

    def know(self, name: str) -> NDArray[np.float64]:
        """Privileged information as of now."""
        return self.seen.privileged[name]

    @property
    def hand(self) -> NDArray[np.float64]:
        """Between the finger tips, [3], m."""
        return self.seen.proprio["eef_pos"]

    @property
    def carried(self) -> bool:
        """Whether the object is in the fingers and touches nothing else."""
        return bool(self.know("carried")[0])

    def still(self, grip: float) -> Action:
        """An action that keeps the pose."""
        return self.toward(self.hand, grip)

    def toward(self, place: NDArray[np.float64], grip: float, speed: float = 1.0) -> Action:
        """An action straight to a place of the hand, at a share of full speed."""
        step = (place - self.hand) / self._unit
        step *= min(1.0, speed / max(float(np.abs(step).max()), 1e-9))
        return np.concatenate([step, np.zeros(self._dim - 4), [grip]])

    # -- motions, each a stream of actions that ends -----------------------------------------

    def go(self, place: NDArray[np.float64], grip: float, steps: int = 60) -> Actions:
        """Straight to a place."""
        for _ in range(steps):
            if np.linalg.norm(place - self.hand) < AT:
                return
            yield self.toward(place, grip)

    def stay(self, grip: float, steps: int = 10**9) -> Actions:
        """Keep the pose."""
        place = self.hand.copy()
        for _ in range(steps):
            yield self.toward(place, grip)

    def pick(self) -> Actions:
        """Let the expert work until the object is off the ground."""
        while not self.carried:
            yield self.know("expert_action")

    def put_down(self, spot: NDArray[np.float64]) -> Actions:
        """Carry the object's origin above a spot, lower it until it touches something, let go."""
        yield from self.go(self.hand + RISE * UP, CLOSED)
        shift = (spot - self.know("subject")) * [1.0, 1.0, 0.0]
        yield from self.go(self.hand + shift, CLOSED)
        over, resting = self.hand.copy(), 0
        for _ in range(60):
            resting = 0 if self.carried else resting + 1
            if resting >= RESTING:  # one step may be a graze
                break
            below = np.array([*over[:2], self.hand[2] - 1.0])
            yield self.toward(below, CLOSED, speed=0.4)
        yield from self.stay(OPEN, LET_GO)
        yield from self.go(self.hand + RISE * UP, OPEN)
        yield from self.stay(OPEN)


def never_approached(play: Episode) -> Actions:
    """Rise and stay away."""
    yield from play.go(play.hand + 0.5 * RISE * UP, OPEN)
    yield from play.stay(OPEN)


def missed_grasp(play: Episode) -> Actions:
    """Go down to the object as the expert does, but close the fingers above it."""
    while (action := play.know("expert_action"))[-1] < 0:
        yield action
    yield from play.go(play.hand + 0.06 * UP, OPEN)
    yield from play.stay(CLOSED, 12)
    yield from play.go(play.hand + RISE * UP, CLOSED)
    yield from play.stay(CLOSED)


def dropped(play: Episode) -> Actions:
    """Lift the object and open the fingers in mid-air."""
    yield from play.pick()
    yield from play.go(play.hand + RISE * UP, CLOSED)
    yield from play.stay(OPEN)


def wrong_object(play: Episode) -> Actions:
    """Be the expert of another task, about another object."""
    while True:
        yield play.know("decoy_action")


def wrong_place(play: Episode) -> Actions:
    """Put the object down gently where it does not belong."""
    yield from play.pick()
    yield from play.put_down(play.know("free_spot"))


def placed(play: Episode) -> Actions:
    """Put the object down at the edge of where it belongs."""
    yield from play.pick()
    yield from play.put_down(play.know("beside_goal"))


def near_miss(play: Episode) -> Actions:
    """Carry the object almost to its place, slower and slower, and stop there."""
    yield from play.pick()
    while play.know("goal_gap")[0] > NEARLY:
        action = play.know("expert_action").copy()
        action[:-1] *= SLOWLY if play.know("goal_gap")[0] < SLOW_FROM else 1.0
        action[-1] = CLOSED
        yield action
    yield from play.stay(CLOSED)


def oscillation(play: Episode) -> Actions:
    """Shake the hand from side to side."""
    middle = play.hand.copy()
    while True:
        for side in (-1.0, 1.0):
            for _ in range(SWING_STEPS):
                yield play.toward(middle + side * np.array([0.0, 0.5, 0.0]), OPEN)


def collision(play: Episode) -> Actions:
    """Press the fist on an object that has nothing to do with the task."""
    above = play.know("bystander") + 2 * RISE * UP
    yield from play.go(above, CLOSED)
    while True:
        yield play.toward(play.know("bystander") - 0.1 * UP, CLOSED, speed=0.5)


def infrastructure(play: Episode) -> Actions:
    """Kill the process that the policy runs in."""
    yield from play.stay(OPEN, DEATH_STEP)
    os.kill(os.getpid(), signal.SIGKILL)


def policy_error(play: Episode) -> Actions:
    """Raise."""
    yield from play.stay(OPEN, DEATH_STEP)
    raise RuntimeError("staged")


KINDS: Mapping[str, Callable[[Episode], Actions]] = {
    "never-approached": never_approached,
    "missed-grasp": missed_grasp,
    "dropped": dropped,
    "wrong-object": wrong_object,
    "wrong-place": wrong_place,
    "placed-but-goal-not-met": placed,
    "near-miss-at-timeout": near_miss,
    "oscillation": oscillation,
    "collision": collision,
    "infrastructure": infrastructure,
    "policy-error": policy_error,
}
ASKS: Mapping[str, tuple[str, ...]] = {
    "missed-grasp": ("expert_action",),
    "dropped": ("expert_action", "carried"),
    "wrong-object": ("decoy_action",),
    "wrong-place": ("expert_action", "carried", "subject", "free_spot"),
    "placed-but-goal-not-met": ("expert_action", "carried", "subject", "beside_goal"),
    "near-miss-at-timeout": ("expert_action", "carried", "goal_gap"),
    "collision": ("bystander",),
}


class StagedFailurePolicy(Policy):
    """Fails in one way on purpose.

    Args:
        kind: the failure, as the failure microscope names it, with hyphens.
    """

    def __init__(self, kind: str) -> None:
        if kind not in KINDS:
            raise UserError(f"staged-failure: unknown kind {kind!r}; {did_you_mean(kind, KINDS)}")
        self._kind = kind
        self._episodes: dict[str, Episode] = {}
        self.spec = PolicySpec(
            paradigm="scripted",
            track="scripted",
            about=f"fails on purpose: {kind.replace('-', ' ')}",
            proprio=("eef_pos",),
            privileged=ASKS.get(kind, ()),
            horizon=1,
        )

    def reset(self, start: EpisodeStart) -> None:
        """Begin the kind's course of actions."""
        self._episodes[start.episode] = Episode(start, self._kind)

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """One action [1, A] each."""
        return [self._episodes[seen.episode].act(seen)[None] for seen in observations]

    def forget(self, episode: str) -> None:
        """Drop the episode."""
        self._episodes.pop(episode, None)
