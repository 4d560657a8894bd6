"""MetaWorld's tasks as four suites of growing difficulty, each task with 50 fixed starts."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence

from tasks.metaworld import runtime, starts
from tasks.metaworld.catalogue import SUITES
from tasks.metaworld.offers import CAMERAS, PROPRIO, RENDERINGS, XYZ_GRIPPER
from wambench.contract import SuiteSpec
from wambench.suite import Check, Simulator, Suite, Task

ABOUT = {
    "metaworld_easy": "28 tasks: buttons, doors, drawers, handles, windows, reaching",
    "metaworld_medium": "11 tasks: pushing, sweeping, bins, a hammer, a peg",
    "metaworld_hard": "6 tasks: picking and placing, pushing to a mark, a hole",
    "metaworld_very_hard": "5 tasks: a shelf, a stick as a tool, over a wall",
}


class MetaWorldSuite(Suite):
    """One of the four groups; without MetaWorld its tasks are listed and locked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.spec = SuiteSpec(
            name=name,
            version=1,
            about=ABOUT[name],
            simulator="MetaWorld on MuJoCo",
            control_hz=80,
            cameras=tuple(CAMERAS),
            proprio=PROPRIO,
            privileged={"expert_action": 4},
            action=XYZ_GRIPPER,
            settle_action=(0.0, 0.0, 0.0, -1.0),
            renderings=RENDERINGS,
            default_max_steps=500,
            grippers=("raw",),  # the experts hold with 0.6, and 0 means something too
            memory_mb=700,
            step_seconds=0.001,
            look_seconds=0.5,
            open_seconds=1.0,
        )

    def tasks(self) -> Sequence[Task]:
        """Tasks in lerobot's order; reads the table of starts and nothing of MetaWorld."""
        return _tasks(self._name, bool(runtime.missing()))

    def fingerprint(self) -> Mapping[str, str]:
        """Versions of the packages that hold physics, assets and goals."""
        return runtime.versions()

    def privileged_fingerprint(self, names: Sequence[str]) -> Mapping[str, str]:
        """The experts are upstream's, whose version the fingerprint has."""
        return {}

    def open(self, task: Task, rendering: str) -> Simulator:
        """Compile the task's scene."""
        runtime.upstream()
        from tasks.metaworld.simulator import MetaWorldSimulator

        simulator = MetaWorldSimulator(task.name, starts.table()[task.name], rendering)
        self._simulator = simulator
        return simulator

    def environment(self) -> Mapping[str, str]:
        """GL backend and renderer string of the simulator opened last."""
        return {"gl_backend": runtime.backend(), "gl_renderer": self._simulator.gl_renderer}

    def diagnose(self) -> Sequence[Check]:
        """Say whether MetaWorld is there; the rest needs no more than LIBERO does."""
        missing, versions = runtime.missing(), runtime.versions()
        detail = ", ".join(f"{name} {version}" for name, version in versions.items())
        if missing:
            detail = f"not installed: {', '.join(missing)} (its suites are locked)"
        return [Check("MetaWorld", not missing, detail, runtime.REMEDY, required=False)]


@functools.cache
def _tasks(suite: str, locked: bool) -> tuple[Task, ...]:
    out = []
    for index, (name, instruction) in enumerate(SUITES[suite].items()):
        vectors = starts.table()[name]
        digest = hashlib.blake2b(vectors.tobytes(), digest_size=16).hexdigest()
        lock = runtime.LOCKED if locked else ""
        out.append(Task(index, name, instruction, len(vectors), digest, locked=lock))
    return tuple(out)
