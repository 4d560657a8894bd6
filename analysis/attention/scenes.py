"""Moments of episodes: what a policy is shown, and what only the simulator knows of the picture.

A simulator needs a process of its own, and torch must not be in it: moments are gathered in a
fresh process per task and travel back as arrays.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.failures import Failure, explain, first_attempt
from wambench import plugins
from wambench.cells import Cell, digest_of
from wambench.clock import Stopwatch
from wambench.contract import Observation, PolicySpec
from wambench.episode import Setting, course, observe, run_episode
from wambench.errors import UserError
from wambench.facts import Role
from wambench.policy_server import LocalClient
from wambench.protocols import Protocol
from wambench.suite import Simulator

Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]
VISIBLE_DIFFERENCE = 16  # of 255, in any channel: what the eye notices at an edge


@dataclass(frozen=True)
class Stored:
    """What a run remembers of an episode that is to be taken again.

    Attributes:
        key: of its cell.
        digests: uint64 [T + 1], of its states, which must come again.
        failed: whether the robot failed.
    """

    key: str
    digests: NDArray[np.uint64]
    failed: bool


@dataclass(frozen=True)
class Course:
    """One episode whose moments are wanted.

    Attributes:
        actions: float64 [T, A] that were executed; None: those of the policy ``guide``.
        guide: entry point of a policy without torch that leads through the episode.
        stored: what its run remembers, if it is from one; then it is told what happened.
    """

    suite: str
    task_index: int
    init_state: int
    seed: int = 0
    actions: NDArray[np.float64] | None = None
    guide: str = "expert"
    stored: Stored | None = None


@dataclass(frozen=True)
class Looking:
    """How moments are gathered.

    Attributes:
        rules: the protocol under which the policies are asked.
        spec: what they need: cameras, proprioception, image size.
        stride: control steps between moments, from the first one on.
        ahead: control steps to the picture that says what changes.
        size: side of pictures and masks in pixels.
        rendering: of the pictures; what policies see is drawn as the protocol says.
    """

    rules: Protocol
    spec: PolicySpec
    stride: int
    ahead: int
    size: int = 128
    rendering: str = "exact"


@dataclass(frozen=True)
class Happened:
    """What went on in a whole episode.

    Attributes:
        attempt: the step of the first attempt at a grasp; None: there was none.
        failure: why it failed; None: it did not.
    """

    attempt: int | None
    failure: Failure | None


@dataclass(frozen=True)
class Moment:
    """What there was to see at one control step. All pictures and masks are upright.

    Attributes:
        steps: of the whole episode.
        seen: what a policy is given, under the protocol.
        pictures: camera -> uint8 [S, S, 3].
        later: the same so many steps ahead.
        regions: camera -> role -> [S, S].
        change: camera -> [S, S], what differs visibly between now and then.
        happened: in its episode; None: not asked for, or the simulator does not tell.
    """

    suite: str
    task_index: int
    task: str
    init_state: int
    seed: int
    step: int
    steps: int
    seen: Observation
    pictures: Mapping[str, Picture]
    later: Mapping[str, Picture]
    regions: Mapping[str, Mapping[Role, Mask]]
    change: Mapping[str, Mask]
    happened: Happened | None = None

    @property
    def episode(self) -> tuple[str, int, int, int]:
        """What moments of one episode share."""
        return self.suite, self.task_index, self.init_state, self.seed


def gather(courses: Sequence[Course], looking: Looking) -> Sequence[Moment]:
    """Moments of episodes of one task, in order; seconds to open it, then one or two an episode.

    Raises:
        UserError: a suite, task, initial state or rendering that does not exist; a stored episode
            that goes otherwise here.
    """
    if len({(one.suite, one.task_index) for one in courses}) != 1:
        raise ValueError("gather() takes courses of one task")
    check(courses, looking)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        return pool.submit(_gather, courses, looking).result()


def check(courses: Sequence[Course], looking: Looking) -> None:
    """Raise UserError for what :func:`gather` could not do, before any work."""
    suite = plugins.make_suite(courses[0].suite)
    tasks = suite.tasks()
    if not 0 <= courses[0].task_index < len(tasks):
        raise UserError(
            f"{suite.spec.name} has no task {courses[0].task_index}; it has 0-{len(tasks) - 1}"
        )
    count = tasks[courses[0].task_index].init_states
    for one in courses:
        if not 0 <= one.init_state < count:
            raise UserError(
                f"init state {one.init_state} is out of range: {one.suite}/{one.task_index} has "
                f"{count} (0-{count - 1})"
            )
    for camera in looking.spec.cameras:
        if camera not in suite.spec.cameras:
            known = ", ".join(suite.spec.cameras)
            raise UserError(f"{suite.spec.name} has no camera {camera!r}; it has {known}")
    for rendering in (looking.rendering, looking.rules.rendering):
        if rendering not in suite.spec.renderings:
            raise UserError(
                f"{suite.spec.name} has no rendering {rendering!r}; "
                f"name {' or '.join(suite.spec.renderings)}"
            )


def _gather(courses: Sequence[Course], looking: Looking) -> list[Moment]:
    suite = plugins.make_suite(courses[0].suite)
    task = suite.tasks()[courses[0].task_index]
    acting = suite.open(task, looking.rules.rendering)
    same = looking.rendering == looking.rules.rendering
    drawing = acting if same else suite.open(task, looking.rendering)
    cameras, size = looking.spec.cameras, (looking.size, looking.size)
    out = []
    for one in courses:
        key = digest_of([one.suite, task.name, one.init_state, one.seed])
        key = one.stored.key if one.stored else key
        place = (one.suite, task.index, task.name, one.init_state, one.seed)
        cell = Cell(key, one.guide, looking.rules.name, *place)
        setting = Setting(looking.rules, suite.spec, looking.spec, task.start(one.init_state))
        actions = one.actions
        if actions is None:
            guide = plugins.make_policy(one.guide, {})
            led = replace(setting, policy=guide.spec)
            guide.load()
            actions = run_episode(cell, led, acting, LocalClient(guide)).trace.actions
        seen, snapshots = {}, []
        for step in course(cell, setting, acting, actions):
            _hold_against(one, step, acting.digest())
            snapshots.append(acting.snapshot().copy())
            if step % looking.stride == 0 and step < len(actions):
                seen[step] = observe(cell, setting, acting, step, Stopwatch())
        happened = _happened(one.stored, acting, snapshots, suite.spec.control_hz)
        if not same:
            next(course(cell, setting, drawing, ()))  # fixtures stand where the reset puts them
        for step, observation in seen.items():
            now = snapshots[step]
            then = snapshots[min(step + looking.ahead, len(snapshots) - 1)]
            pictures, later = (drawing.draw(at, cameras, size) for at in (now, then))
            out.append(
                Moment(
                    *place, step=step, steps=len(actions), seen=observation,
                    pictures=pictures, later=later,
                    regions=acting.regions(now, cameras, size),
                    change={c: changed(pictures[c], later[c]) for c in cameras},
                    happened=happened,
                )
            )  # fmt: skip
    for simulator in {id(s): s for s in (acting, drawing)}.values():
        simulator.close()
    return out


def _hold_against(one: Course, step: int, digest: int) -> None:
    if one.stored is not None and digest != int(one.stored.digests[step]):
        raise UserError(
            f"the stored episode of {one.suite}/{one.task_index}, initial state {one.init_state}, "
            f"seed {one.seed} goes otherwise here from step {step} on: what its policy saw cannot "
            "be shown; use the machine and versions of its run (wambench replay tells)"
        )


def _happened(
    stored: Stored | None, simulator: Simulator, snapshots: Sequence[NDArray[np.float64]], hz: float
) -> Happened | None:
    if stored is None:
        return None
    facts = [found for at in snapshots if (found := simulator.facts(at)) is not None]
    if len(facts) < len(snapshots):
        return None
    return Happened(first_attempt(facts, hz), explain(facts, hz) if stored.failed else None)


def changed(now: Picture, later: Picture) -> Mask:
    """Pixels [H, W] whose colour differs visibly."""
    return np.abs(now.astype(np.int16) - later).max(axis=2) > VISIBLE_DIFFERENCE
