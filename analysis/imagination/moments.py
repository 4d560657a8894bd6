"""Moments of stored episodes, and what is to be seen from there on: the simulator's side.

A simulator needs a process of its own, and torch must not be in it. One process serves one task:
first it replays the episodes and tells what a policy sees at their moments, then, when the policy
has answered, it replays them again and executes each answer in a branch. Every state of a replay is
held against the digest that the run stored, so a branch that disturbed its episode would be found.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from wambench import plugins
from wambench.cells import Cell
from wambench.clock import Stopwatch
from wambench.contract import EXPERT_ACTION, Observation, PolicySpec, checked_chunk, orient
from wambench.episode import (
    Setting,
    as_executed,
    course,
    expert_branch,
    fit_image,
    follow,
    observe,
    sensed,
)
from wambench.errors import UserError
from wambench.facts import Role
from wambench.protocols import Protocol
from wambench.suite import Simulator, branched
from wambench.trace import Trace

ROLES: tuple[Role, ...] = ("object", "gripper", "goal")
Chunks = Sequence[NDArray[Any]]  # [H, A] each

P = ParamSpec("P")
R = TypeVar("R")

_open: dict[tuple[str, int], Simulator] = {}  # in the process of a task


@dataclass(frozen=True)
class Episode:
    """A stored episode whose moments are wanted."""

    cell: Cell
    outcome: str
    trace: Trace


@dataclass(frozen=True)
class Looking:
    """How moments are gathered.

    Attributes:
        rules: the protocol of the run.
        spec: of the policy that is asked.
        stride: control steps between moments, from the first one on.
        offsets: [T], control steps from a moment to the frames that are compared.
    """

    rules: Protocol
    spec: PolicySpec
    stride: int
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Shown:
    """What was to be seen at the offsets of a moment, as the policy would see it.

    Attributes:
        frames: uint8 [cameras, T, H, W, 3].
        before: role -> bool [cameras, H, W], where it was at the moment itself.
        after: role -> bool [cameras, T, H, W], where it is then.
    """

    frames: NDArray[np.uint8]
    before: Mapping[str, NDArray[np.bool_]]
    after: Mapping[str, NDArray[np.bool_]]

    @property
    def roles(self) -> Mapping[str, NDArray[np.bool_]]:
        """Role -> bool [cameras, T, H, W], where it is then or was at the moment itself."""
        return {role: self.before[role][:, None] | then for role, then in self.after.items()}


@dataclass(frozen=True)
class Moment:
    """One control step of a stored episode.

    Attributes:
        seen: what the policy saw, to the bit.
        stored: what the episode went on to show, uint8 [cameras, T, H, W, 3]; its last frame
            after its end.
        expert: what the scripted expert would have shown from here; None: the suite has none.
    """

    episode: Episode
    step: int
    seen: Observation
    stored: NDArray[np.uint8]
    expert: Shown | None

    @property
    def present(self) -> NDArray[np.uint8]:
        """The frames of this moment [cameras, H, W, 3]."""
        return np.stack(list(self.seen.images.values()))


class TaskProcess:
    """A process in which one task is open; use it as a context."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, spawn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, call: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """What a function that opens no other task returns there."""
        return self._pool.submit(call, *args, **named).result()

    def moments(self, episodes: Sequence[Episode], looking: Looking) -> Sequence[Moment]:
        """Every moment of episodes of one task, in order.

        Raises:
            UserError: an episode that does not replay as it was stored.
        """
        return self.run(moments, episodes, looking)

    def executed(
        self, asked: Sequence[Moment], chunks: Sequence[Chunks], looking: Looking
    ) -> Sequence[Sequence[Shown]]:
        """What chunks [H, A], some for each moment, show when they are executed from there."""
        answers: dict[str, dict[int, Chunks]] = {}
        for moment, some in zip(asked, chunks, strict=True):
            answers.setdefault(moment.episode.cell.key, {})[moment.step] = some
        episodes = {moment.episode.cell.key: moment.episode for moment in asked}
        work = [(episodes[key], by_step) for key, by_step in answers.items()]
        found = self.run(executed, work, looking)
        return [found[moment.episode.cell.key, moment.step] for moment in asked]


def moments(episodes: Sequence[Episode], looking: Looking) -> list[Moment]:
    """As :meth:`TaskProcess.moments`, in this process."""
    out = []
    for episode in episodes:
        suite = plugins.make_suite(episode.cell.suite)
        tells = EXPERT_ACTION in suite.spec.privileged
        for step, simulator, setting in _along(episode, looking, follows=tells):
            seen = observe(episode.cell, setting, simulator, step, Stopwatch())
            snapshots = episode.trace.snapshots
            later = [min(step + ahead, len(snapshots) - 1) for ahead in looking.offsets]
            stored = _frames(simulator, snapshots[later], looking)
            expert = None
            if tells:
                branch = expert_branch(setting, simulator, max(looking.offsets))
                expert = _seen_in(branch, simulator, looking)
            out.append(Moment(episode, step, seen, stored, expert))
    return out


def executed(
    work: Sequence[tuple[Episode, Mapping[int, Chunks]]], looking: Looking
) -> dict[tuple[str, int], Sequence[Shown]]:
    """What the chunks of episodes and steps show when they are executed from there."""
    out: dict[tuple[str, int], Sequence[Shown]] = {}
    for episode, chunks in work:
        for step, simulator, setting in _along(episode, looking):
            if step in chunks:
                out[episode.cell.key, step] = [
                    _executed(chunk, episode, simulator, setting, looking) for chunk in chunks[step]
                ]
    return out


def _executed(
    chunk: NDArray[Any], episode: Episode, simulator: Simulator, setting: Setting, looking: Looking
) -> Shown:
    chunk = checked_chunk(chunk, setting.suite.action, looking.spec.horizon)
    actions, ahead = as_executed(chunk, setting), max(looking.offsets)
    if len(actions) < ahead:
        raise UserError(
            f"{episode.cell.describe()}: {len(actions)} actions cannot show what is "
            f"imagined {ahead} steps ahead; choose a policy with longer chunks"
        )
    return _seen_in(branched(simulator, _in_turn(actions), ahead), simulator, looking)


def _along(
    episode: Episode, looking: Looking, *, follows: bool = False
) -> Iterator[tuple[int, Simulator, Setting]]:
    """Replay an episode, perhaps with an expert that goes along; stops at its moments.

    Its end is none of them.
    """
    cell, trace = episode.cell, episode.trace
    simulator, setting = at_start(cell, looking.rules, looking.spec)
    for step in course(cell, setting, simulator, trace.actions):
        if simulator.digest() != trace.digests[step]:
            raise UserError(
                f"{cell.describe()} goes another way than it was stored, from step {step} on; "
                "'wambench replay' tells what differs"
            )
        if step % looking.stride == 0 and step < len(trace.actions):
            yield step, simulator, setting
        if follows:
            follow(simulator)


def at_start(cell: Cell, rules: Protocol, spec: PolicySpec) -> tuple[Simulator, Setting]:
    """The simulator of a cell's task, opened once a process, and how the cell is run in it."""
    suite = plugins.make_suite(cell.suite)
    task = suite.tasks()[cell.task_index]
    place = (cell.suite, cell.task_index)
    if place not in _open:
        _open[place] = suite.open(task, rules.rendering)
    return _open[place], Setting(rules, suite.spec, spec, task.start(cell.init_state))


def _in_turn(actions: NDArray[np.float64]) -> Callable[[int], NDArray[np.float64]]:
    return lambda step: actions[step]


def _seen_in(branch: NDArray[np.float64], simulator: Simulator, looking: Looking) -> Shown:
    """Frames and roles of a branch's snapshots [steps + 1, n]."""
    now, later = branch[0], branch[list(looking.offsets)]
    rules, cameras = looking.rules, looking.spec.cameras
    told = [simulator.regions(at, cameras, rules.image_size) for at in (now, *later)]
    masks = {
        role: np.array([[orient(at[c][role], rules.orientation) for at in told] for c in cameras])
        for role in (ROLES if told[0] else ())
    }
    return Shown(
        _frames(simulator, later, looking),
        before={role: found[:, 0] for role, found in masks.items()},
        after={role: found[:, 1:] for role, found in masks.items()},
    )


def _frames(
    simulator: Simulator, snapshots: NDArray[np.float64], looking: Looking
) -> NDArray[np.uint8]:
    """What a policy would see of snapshots [T, n]."""
    rules, cameras = looking.rules, looking.spec.cameras
    frames = [
        [fit_image(image, rules) for image in sensed(simulator, at, cameras, rules).values()]
        for at in snapshots
    ]
    return np.array(frames).swapaxes(0, 1)
