"""LIBERO as every harness runs it, to hold our simulator against: a script run in its own process.

``python -m tests.naive RUN SUITE TASK OUT.json`` replays all stored episodes of one task through
LIBERO's ``OffScreenRenderEnv``, hard resets, both cameras, every observable polled at every
substep. Only the pixel work of frames that nobody compares is skipped, inside the sensor.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tasks import gl
from tasks.libero import runtime
from wambench.protocols import Protocol
from wambench.store import Store

CAMERAS = {"agentview": "agentview_image", "wrist": "robot0_eye_in_hand_image"}
COMPARE_EVERY = 40  # steps between compared frames: a frame costs ten steps


def digest(state: np.ndarray) -> int:
    return int.from_bytes(hashlib.blake2b(state.tobytes(), digest_size=8).digest(), "little")


class NaiveEnvironment:
    """``OffScreenRenderEnv`` of one task. ``look`` says whether the next frames are drawn."""

    def __init__(self, suite: str, task_index: int, size: int = 256) -> None:
        gl.enable()
        envs = runtime.simulation_modules()
        benchmark: Any = runtime.task_suite(suite)
        task = benchmark.get_task(task_index)
        self.init_states = benchmark.get_task_init_states(task_index)
        with runtime.quiet():
            self.env = envs.OffScreenRenderEnv(
                bddl_file_name=str(runtime.bddl_path(task.problem_folder, task.bddl_file)),
                camera_heights=size,
                camera_widths=size,
            )
        self.look = True
        self._initializers = list(self.env.env.object_property_initializers)

    def as_new(self) -> None:
        """Forget earlier episodes, as a newly built environment would have none: see Stepper."""
        self.env.env.object_property_initializers[:] = self._initializers

    def begin(self, init_state: int, seed: int, *, reseed: bool = True) -> dict[str, Any]:
        if reseed:
            self.as_new()
            self.env.seed(seed)
        self.reset()
        for name in CAMERAS.values():
            self._make_skippable(self.env.env._observables[name])
        return self.env.set_init_state(self.init_states[init_state])

    def reset(self) -> None:
        self._make_current()
        self.env.reset()

    def _make_skippable(self, observable: Any) -> None:
        draw = observable._sensor
        if getattr(draw, "skippable", False):
            return
        nothing = np.zeros(observable._data_shape, np.uint8)

        def sensor(cache: Any) -> np.ndarray:
            if not self.look:
                return nothing
            self._make_current()
            return draw(cache)

        sensor.__modality__ = draw.__modality__  # type: ignore[attr-defined]
        sensor.skippable = True  # type: ignore[attr-defined]
        observable._sensor = sensor

    def _make_current(self) -> None:
        """robosuite draws into, and frees from, whatever context is current: ours, otherwise."""
        self.env.sim._render_context_offscreen.gl_ctx.make_current()

    def state(self) -> np.ndarray:
        return self.env.get_sim_state()


def replay_task(run: Path, suite: str, task_index: int) -> list[dict[str, Any]]:
    """Replay the stored episodes of a task; one dict of findings per episode."""
    with Store.read(run) as store:
        passport = store.passport()
        assert passport is not None
        rules = Protocol.model_validate(passport.protocol)
        episodes = [
            (known, store.trace(known.cell.key))
            for known in store.cells()
            if (known.cell.suite, known.cell.task_index) == (suite, task_index) and known.outcome
        ]
    naive = NaiveEnvironment(suite, task_index, rules.render_size[0])
    from wambench import plugins

    light = plugins.make_suite(suite)
    ours = light.open(light.tasks()[task_index], "exact")
    settle = np.array(light.spec.settle_action)
    findings = []
    for known, trace in episodes:
        cell = known.cell
        naive.look = False
        if rules.simulator_seeding == "once_per_task":
            naive.as_new()
            naive.env.seed(rules.simulator_seed)
            for _ in range(cell.init_state):
                naive.reset()
        naive.begin(
            cell.init_state,
            rules.simulator_seed,
            reseed=rules.simulator_seeding != "once_per_task",
        )
        ours.reset(
            cell.init_state,
            rules.simulator_seed,
            seed_once_per_task=rules.simulator_seeding == "once_per_task",
        )
        for _ in range(rules.settle_steps):
            naive.env.step(settle)
        equal = [digest(naive.state()) == int(trace.digests[0])]
        success_step, frames = None, []
        for index, action in enumerate(trace.actions):
            naive.look = index % COMPARE_EVERY == COMPARE_EVERY - 1
            seen, _, done, _ = naive.env.step(action)
            equal.append(digest(naive.state()) == int(trace.digests[index + 1]))
            if naive.look:
                drawn = ours.draw(trace.snapshots[index + 1], list(CAMERAS), rules.render_size)
                frames += [
                    bool((seen[name][::-1] == drawn[camera]).all())
                    for camera, name in CAMERAS.items()
                ]
            if done and success_step is None:
                success_step = index + 1
        findings.append(
            {
                "cell": cell.describe(),
                "states": len(equal),
                "states_equal": int(sum(equal)),
                "outcome": known.outcome,
                "steps": known.steps,
                "naive_success_step": success_step,
                "frames": len(frames),
                "frames_equal": sum(frames),
            }
        )
    return findings


if __name__ == "__main__":
    run, suite, task, out = sys.argv[1:]
    Path(out).write_text(json.dumps(replay_task(Path(run), suite, int(task)), indent=1))
