"""Run one episode: the only place where a policy meets a simulator.

Non-obvious behaviours:

* Frames are drawn only when the policy is about to be asked, and only the cameras it needs.
* Steps count after settling, and the goal is judged after every step from the first one on: a goal
  that holds by itself while objects settle does not end an episode before the policy acts.
* A chunk is executed open loop for ``replan_steps`` actions, or for all it holds if it is shorter.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wambench.cells import Cell, noise_seed, simulator_seed
from wambench.contract import (
    EpisodeStart,
    Observation,
    PolicySpec,
    SuiteSpec,
    checked_chunk,
    orient,
)
from wambench.errors import PolicyFault
from wambench.protocols import Protocol
from wambench.suite import InitState, Simulator
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
    clock = Clock()
    begin(cell, setting, simulator, clock)
    actions: list[NDArray[np.float64]] = []
    snapshots, digests = [simulator.snapshot().copy()], [simulator.digest()]
    budget, looks, outcome, fault = rules.budget(suite), 0, "failure", ""
    try:
        with clock("policy"):
            client.reset(episode_start(cell, setting))
        while len(actions) < budget and outcome == "failure":
            observation = observe(cell, setting, simulator, len(actions), clock)
            looks += 1
            with clock("policy"):
                answer = client.act(observation)
            chunk = checked_chunk(answer, suite.action, setting.policy.horizon)
            for action in _gripper(chunk, setting)[: setting.replan_steps]:
                if len(actions) == budget:
                    break
                on_step(len(actions))
                with clock("physics"):
                    simulator.step(action)
                with clock("goal"):
                    reached = simulator.success()
                with clock("record"):
                    actions.append(action)
                    snapshots.append(simulator.snapshot().copy())
                    digests.append(simulator.digest())
                if reached:
                    outcome = "success"
                    break
    except PolicyFault as error:
        outcome, fault = "policy_error", _one_line(error)
    finally:
        measured = client.measured(cell.key)
        client.forget(cell.key)
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
        clock.totals(),
        measured,
    )


def reset(cell: Cell, rules: Protocol, start: InitState, simulator: Simulator) -> None:
    """Bring a simulator to an episode's beginning, before anything settles."""
    simulator.reset(
        cell.init_state,
        simulator_seed(rules, cell.init_state, start.factors),
        seed_once_per_task=rules.simulator_seeding == "once_per_task",
    )


def begin(cell: Cell, setting: Setting, simulator: Simulator, clock: Clock) -> None:
    """Bring a simulator to where an episode's policy is asked for the first time."""
    with clock("reset"):
        reset(cell, setting.protocol, setting.start, simulator)
    settle = np.array(setting.suite.settle_action)
    with clock("physics"):
        for _ in range(setting.protocol.settle_steps):
            simulator.step(settle)


def course(
    cell: Cell, setting: Setting, simulator: Simulator, actions: Iterable[NDArray[np.float64]]
) -> Iterator[int]:
    """Take an episode's course again; yields 0 after settling and n after the n-th action."""
    begin(cell, setting, simulator, Clock())
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
    cell: Cell, setting: Setting, simulator: Simulator, step: int, clock: Clock
) -> Observation:
    """What the policy sees at this step: only the cameras and numbers that it asks for."""
    rules, needs = setting.protocol, setting.policy
    images = {}
    if needs.cameras:
        snapshot = simulator.snapshot()
        with clock("render"):
            drawn = simulator.draw(snapshot, needs.cameras, rules.render_size)
            drawn = simulator.sense(drawn, snapshot)
        with clock("resize"):
            images = {name: fit_image(image, rules) for name, image in drawn.items()}
    with clock("observe"):
        return Observation(
            episode=cell.key,
            step=step,
            instruction=setting.instruction,
            noise_seed=noise_seed(cell, step, setting.start.factors),
            images=images,
            proprio=simulator.proprio(needs.proprio) if needs.proprio else {},
            privileged=simulator.privileged(needs.privileged) if needs.privileged else {},
        )


def fit_image(image: NDArray[np.uint8], rules: Protocol) -> NDArray[np.uint8]:
    """Turn and resize an upright frame to what the protocol hands to policies."""
    turned = orient(image, rules.orientation)
    height, width = rules.image_size
    if turned.shape[:2] == (height, width):
        return turned
    resized = Image.fromarray(turned).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _gripper(chunk: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    if setting.protocol.gripper == "raw" or setting.suite.action.gripper == "none":
        return chunk
    return np.concatenate([chunk[:, :-1], np.where(chunk[:, -1:] < 0, -1.0, 1.0)], axis=1)


def _one_line(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)[-1].split()).removeprefix(
        "wambench.errors.PolicyFault: "
    )


class Clock:
    """Adds up wall seconds by stage."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._sums: dict[str, float] = {}
        self._stage = ""

    def __call__(self, stage: str) -> Clock:
        """Choose the stage that the next ``with`` block is charged to."""
        self._stage = stage
        return self

    def __enter__(self) -> None:
        self._since = perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = perf_counter() - self._since
        self._sums[self._stage] = self._sums.get(self._stage, 0.0) + spent

    def totals(self) -> dict[str, float]:
        """Seconds by stage, and ``total``."""
        return self._sums | {"total": perf_counter() - self._began}
