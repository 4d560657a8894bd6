"""Run one episode: the only place where a policy meets a simulator.

Non-obvious behaviours:

* Frames are drawn only when the policy is about to be asked, and only the cameras it needs.
* Steps count after settling, and the goal is judged after every step from the first one on: a goal
  that holds by itself while objects settle does not end an episode before the policy acts.
* A chunk is executed open loop for ``replan_steps`` actions, or for all it holds if it is shorter.
  Under a paying clock the world goes on while the next one is thought out; see
  :mod:`wambench.clock`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wambench.cells import Cell, digest_of, noise_seed, simulator_seed
from wambench.clock import Pace, Rules, Stopwatch, Timing, charged_steps
from wambench.contract import (
    EXPERT_ACTION,
    EpisodeStart,
    Observation,
    PolicySpec,
    SuiteSpec,
    checked_chunk,
    orient,
)
from wambench.errors import PolicyFault
from wambench.protocols import Protocol
from wambench.suite import InitState, Simulator, branched
from wambench.trace import Trace

Outcome = Literal["success", "failure", "policy_error"]


class PolicyClient(Interface):
    """A policy as the episode loop sees it: in this process, or an actor elsewhere.

    Both calls raise :class:`PolicyFault` for the policy's own faults and any other exception for
    infrastructure.
    """

    def reset(self, start: EpisodeStart) -> None:
        """Begin an episode."""

    def act(self, observation: Observation) -> object:
        """Answer one observation; unchecked."""

    def measured(self, episode: str) -> Mapping[str, Sequence[float]]:
        """What the policy measured of its looks, if it can say; never raises."""

    def forget(self, episode: str) -> None:
        """End an episode."""


@dataclass(frozen=True)
class EpisodeRecord:
    """The outcome of one cell. Two runs may differ in ``seconds`` and ``measured`` alone."""

    cell: Cell
    outcome: Outcome
    steps: int
    looks: int  # how often the policy was asked
    fault: str  # of a policy_error: one line; else empty
    trace: Trace
    seconds: dict[str, float] = field(compare=False)  # stage -> wall seconds
    measured: Mapping[str, Sequence[float]] = field(compare=False, default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """Under what a cell is run; all cells of a policy on one initial state share it."""

    protocol: Protocol
    suite: SuiteSpec
    policy: PolicySpec
    start: InitState
    timing: Timing | None = None  # None: the world stands still while the policy thinks

    @property
    def instruction(self) -> str:
        """What the robot is told."""
        return self.start.told(self.protocol.instructions)

    @property
    def replan_steps(self) -> int:
        """Actions executed of each chunk."""
        wanted = self.protocol.replan_steps or self.policy.replan_steps or self.policy.horizon
        return min(wanted, self.policy.horizon)


def run_episode(
    cell: Cell,
    setting: Setting,
    simulator: Simulator,
    client: PolicyClient,
    on_step: Callable[[int], None] = lambda step: None,
) -> EpisodeRecord:
    """Run one cell to its end. ``on_step`` is told each step's number (a sign of life).

    The policy's faults end the episode with a record; anything else raises.
    """
    rules, suite = setting.protocol, setting.suite
    watch = Stopwatch()
    begin(cell, setting, simulator, watch)
    actions: list[NDArray[np.float64]] = []
    snapshots, digests = [simulator.snapshot().copy()], [simulator.digest()]
    budget, looks, outcome, fault = rules.budget(suite), 0, "failure", ""
    pace = _pace(setting)
    try:
        with watch("policy"):
            client.reset(episode_start(cell, setting))
        while len(actions) < budget and outcome == "failure":
            step = len(actions)
            pace.arrive()
            if pace.asks():
                seen = observe(cell, setting, simulator, step, watch, pace.committed())
                looks += 1
                with watch("policy"):
                    answer = client.act(seen)
                seconds = watch.last_s
                chunk = checked_chunk(answer, suite.action, setting.policy.horizon)
                pace.take(as_executed(chunk, setting), _charge(cell, setting, step, seconds))
            on_step(step)
            if setting.policy.foresees:
                with watch("foresee"):
                    follow(simulator)
            action = pace.next()
            with watch("physics"):
                simulator.step(action)
            with watch("goal"):
                reached = simulator.success()
            with watch("record"):
                actions.append(action)
                snapshots.append(simulator.snapshot().copy())
                digests.append(simulator.digest())
            if reached:
                outcome = "success"
    except PolicyFault as error:
        outcome, fault = "policy_error", _one_line(error)
    finally:
        measured = client.measured(cell.key)
        client.forget(cell.key)
    if setting.timing is not None:
        pace.check(len(actions))
        measured = {**measured, **pace.told()}
    trace = Trace(
        np.array(actions).reshape(-1, suite.action.dim),
        np.array(snapshots),
        np.array(digests, np.uint64),
    )
    return EpisodeRecord(
        cell,
        outcome,  # type: ignore[arg-type]
        len(actions),
        looks,
        fault,
        trace,
        watch.totals(),
        measured,
    )


def _pace(setting: Setting) -> Pace:
    timing, suite = setting.timing, setting.suite
    rules = timing.rules if timing else Rules()
    ahead: int | None = 0
    if timing is not None:
        latency = timing.latency
        ahead = charged_steps(latency.typical_ms, suite.control_hz, rules) if latency else None
    return Pace(rules, ahead, setting.replan_steps, suite.action, suite.settle_action)


def _charge(cell: Cell, setting: Setting, step: int, seconds: float) -> int:
    """Control steps that a decision asked at ``step`` takes; it took so many wall seconds here."""
    timing = setting.timing
    if timing is None:
        return 0
    ms = 1000 * seconds
    if timing.latency is not None:
        seed = noise_seed(cell, step, setting.start.factors)
        ms = timing.latency.draw(int(digest_of(["latency", seed])[:16], 16))
    return charged_steps(ms, setting.suite.control_hz, timing.rules)


def reset(cell: Cell, rules: Protocol, start: InitState, simulator: Simulator) -> None:
    """Bring a simulator to an episode's beginning, before anything settles."""
    simulator.reset(
        cell.init_state,
        simulator_seed(rules, cell.init_state, start.factors),
        seed_once_per_task=rules.simulator_seeding == "once_per_task",
    )


def begin(cell: Cell, setting: Setting, simulator: Simulator, watch: Stopwatch) -> None:
    """Bring a simulator to where an episode's policy is asked for the first time."""
    with watch("reset"):
        reset(cell, setting.protocol, setting.start, simulator)
    settle = np.array(setting.suite.settle_action)
    with watch("physics"):
        for _ in range(setting.protocol.settle_steps):
            simulator.step(settle)


def course(
    cell: Cell, setting: Setting, simulator: Simulator, actions: Iterable[NDArray[np.float64]]
) -> Iterator[int]:
    """Take an episode's course again; yields 0 after settling and n after the n-th action."""
    begin(cell, setting, simulator, Stopwatch())
    yield 0
    for step, action in enumerate(actions, start=1):
        simulator.step(action)
        yield step


def episode_start(cell: Cell, setting: Setting) -> EpisodeStart:
    """What a policy is told before its first look."""
    return EpisodeStart(
        episode=cell.key,
        suite=cell.suite,
        task=cell.task,
        instruction=setting.instruction,
        init_state=cell.init_state,
        action=setting.suite.action,
        noise_seed=noise_seed(cell, -1, setting.start.factors),
    )


def observe(
    cell: Cell,
    setting: Setting,
    simulator: Simulator,
    step: int,
    watch: Stopwatch,
    committed: NDArray[np.float64] | None = None,
) -> Observation:
    """What the policy sees at this step: only the cameras and numbers that it asks for."""
    rules, needs = setting.protocol, setting.policy
    images = {}
    if needs.cameras:
        with watch("render"):
            drawn = sensed(simulator, simulator.snapshot(), needs.cameras, rules)
        with watch("resize"):
            images = {name: fit_image(image, rules) for name, image in drawn.items()}
    foreseen: Mapping[str, NDArray[np.uint8]] = {}
    if needs.foresees:
        with watch("foresee"):
            foreseen = _foreseen(setting, simulator)
    with watch("observe"):
        return Observation(
            episode=cell.key,
            step=step,
            instruction=setting.instruction,
            noise_seed=noise_seed(cell, step, setting.start.factors),
            images=images,
            proprio=simulator.proprio(needs.proprio) if needs.proprio else {},
            privileged=simulator.privileged(needs.privileged) if needs.privileged else {},
            committed=committed,
            foreseen=foreseen,
        )


def follow(simulator: Simulator) -> None:
    """Let the suite's expert go along, whatever is executed; once before each control step.

    An expert's plan is over many steps. One that is made anew at every look begins anew each time:
    it lifts what is lifted already, and would never show how it is carried.
    """
    simulator.privileged((EXPERT_ACTION,))


def expert_branch(setting: Setting, simulator: Simulator, steps: int) -> NDArray[np.float64]:
    """Snapshots [steps + 1, n] of what the suite's expert would do from here; nothing is done.

    It is the expert that was asked at every step so far (see :func:`follow`), as in the
    demonstrations that policies learn from.
    """

    def choose(step: int) -> NDArray[np.float64]:
        action = simulator.privileged((EXPERT_ACTION,))[EXPERT_ACTION]
        return as_executed(checked_chunk(action[None], setting.suite.action, 1), setting)[0]

    return branched(simulator, choose, steps)


def _foreseen(setting: Setting, simulator: Simulator) -> Mapping[str, NDArray[np.uint8]]:
    rules, needs = setting.protocol, setting.policy
    snapshots = expert_branch(setting, simulator, max(needs.foresees))
    shown = [sensed(simulator, snapshots[k], needs.cameras, rules) for k in needs.foresees]
    return {
        camera: np.stack([fit_image(frames[camera], rules) for frames in shown])
        for camera in needs.cameras
    }


def sensed(
    simulator: Simulator, snapshot: NDArray[np.float64], cameras: Sequence[str], rules: Protocol
) -> Mapping[str, NDArray[np.uint8]]:
    """Upright frames of a snapshot as the sensors give them, before :func:`fit_image`."""
    drawn = simulator.draw(snapshot, cameras, rules.render_size)
    return simulator.sense(drawn, snapshot)


def fit_image(image: NDArray[np.uint8], rules: Protocol) -> NDArray[np.uint8]:
    """Turn and resize an upright frame to what the protocol hands to policies."""
    turned = orient(image, rules.orientation)
    height, width = rules.image_size
    if turned.shape[:2] == (height, width):
        return turned
    resized = Image.fromarray(turned).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def as_executed(chunk: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """A checked chunk [H, dim] as the robot is given it: the gripper as the protocol says."""
    if setting.protocol.gripper == "raw" or setting.suite.action.gripper == "none":
        return chunk
    return np.concatenate([chunk[:, :-1], np.where(chunk[:, -1:] < 0, -1.0, 1.0)], axis=1)


def _one_line(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)[-1].split()).removeprefix(
        "wambench.errors.PolicyFault: "
    )
