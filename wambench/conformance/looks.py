"""What is seen and rightly done along a scripted expert's way: drawn in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wambench import plugins
from wambench.cells import Cell
from wambench.clock import Stopwatch
from wambench.contract import EpisodeStart, Observation, PolicySpec
from wambench.episode import Setting, begin, episode_start, observe
from wambench.errors import UserError, one_line
from wambench.profile.observations import made_up_state
from wambench.protocols import Protocol
from wambench.suite import Simulator, Suite

EXPERT = "expert_action"
TASKS = 3  # spread evenly over the suite's
INIT_STATES = 3  # of a task, the first ones
APART = 16  # control steps from one look to the next
AHEAD = 8  # actions of the expert that an answer is compared with
MOST_LOOKS = 12  # of an episode


@dataclass(frozen=True)
class Look:
    """One observation and what the expert did from there on.

    ``expert``: float64 [1 <= K <= AHEAD, A], its actions from this step on.
    """

    start: EpisodeStart
    seen: Observation
    expert: NDArray[np.float64] = field(repr=False)


def gather(suite: str, protocol: Protocol, needs: PolicySpec) -> Sequence[Look]:
    """Let the suite's expert play a few episodes and look on; each task in its own process.

    Raises:
        UserError: the suite has no expert, or its simulator does not work here.
    """
    offered = plugins.make_suite(suite)
    if EXPERT not in offered.spec.privileged:
        raise UserError(f"suite {suite!r} has no expert to compare with; choose another --suite")
    tasks = np.unique(np.linspace(0, len(offered.tasks()), TASKS, endpoint=False).astype(int))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_quiet, max_tasks_per_child=1) as pool:
        asked = [pool.submit(_task, suite, int(task), protocol, needs) for task in tasks]
        try:
            return [look for one in asked for look in one.result()]
        except UserError:
            raise
        except BrokenProcessPool:
            raise UserError(f"the simulator of {suite} died; run wambench doctor") from None
        except Exception as error:  # of a stranger's simulator
            raise UserError(
                f"the simulator of {suite} does not work: {one_line(error)}; run wambench doctor"
            ) from error


def _quiet() -> None:
    """What libraries print goes to stderr: stdout is the command's."""
    os.dup2(2, 1)


def _task(name: str, index: int, protocol: Protocol, needs: PolicySpec) -> Sequence[Look]:
    """Looks at one task, in this process."""
    suite = plugins.make_suite(name)
    task = suite.tasks()[index]
    simulator = suite.open(task, protocol.rendering)
    try:
        out: list[Look] = []
        for state in task.open_states[:INIT_STATES]:
            key = f"look-{index}-{state}"
            cell = Cell(key, "", protocol.name, name, index, task.name, state, 0)
            setting = Setting(protocol, suite.spec, needs, task.start(state))
            out += _episode(cell, setting, simulator)
        return out
    finally:
        simulator.close()


def _episode(cell: Cell, setting: Setting, simulator: Simulator) -> Sequence[Look]:
    start = episode_start(cell, setting)
    begin(cell, setting, simulator, Stopwatch())
    seen: list[Observation] = []
    done: list[NDArray[np.float64]] = []
    while len(done) < MOST_LOOKS * APART and not (done and simulator.success()):
        if len(done) % APART == 0:
            seen.append(observe(cell, setting, simulator, len(done), Stopwatch()))
        done.append(simulator.privileged((EXPERT,))[EXPERT].copy())
        simulator.step(done[-1])
    return [Look(start, one, np.array(done[one.step : one.step + AHEAD])) for one in seen]


def made_up(suite: Suite, needs: PolicySpec, seen: Sequence[Observation]) -> Sequence[Look]:
    """Made-up observations as looks of a suite without a simulator; nobody knows what is right.

    Args:
        suite: whose first task they claim to be of, and whose proprioception has the dimensions.
        needs: what the policy is shown.
        seen: the observations; their proprioception is drawn anew.
    """
    random, task = np.random.default_rng(0), suite.tasks()[0]
    start = EpisodeStart(
        episode="made-up",
        suite=suite.spec.name,
        task=task.name,
        instruction=task.instruction,
        init_state=0,
        action=suite.spec.action,
        noise_seed=0,
    )
    dims = {name: field.dim for name, field in suite.spec.proprio.items()}
    return [
        Look(
            start,
            Observation(
                episode=start.episode,
                step=one.step,
                instruction=task.instruction,
                noise_seed=one.noise_seed,
                images=one.images,
                proprio={name: made_up_state(random, name, dims[name]) for name in needs.proprio},
                privileged={
                    name: random.normal(0, 0.3, suite.spec.privileged[name])
                    for name in needs.privileged
                },
                foreseen=one.foreseen,
            ),
            np.zeros((0, suite.spec.action.dim)),
        )
        for one in seen
    ]
