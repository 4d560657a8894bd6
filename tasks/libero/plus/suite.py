"""The suites of LIBERO-Plus: one for each axis of perturbation and each suite of LIBERO.

A task is LIBERO's task; its initial states are the official LIBERO-Plus tasks made of it, in the
official order. Those that cannot be run here are numbered too, and locked.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.libero.plus import scenes, wheel
from tasks.libero.plus.variants import Variant, variants
from tasks.libero.scenes import SceneSuite, init_states
from tasks.libero.suite import libero_tasks
from wambench import Check, Factors, InitState, Task

if TYPE_CHECKING:
    from tasks.libero.simulator import LiberoSimulator

ABOUT = {
    "camera": "the agentview camera moved, nearer, farther or turned",
    "robot": "the arm drawn to another start pose, as released",
    "language": "the instruction reworded",
    "light": "other lights",
    "background": "other surfaces",
    "noise": "the agentview picture blurred or in fog",
    "layout": "objects moved or added",
}
POSED = "the arm's joints at another start pose (the robot axis, really posed)"
NOISE_SIZE = (256, 256)  # pixels; the corruptions are defined in pixels of this size
COMPILING = ("light", "background", "layout")  # their variants are scenes of their own


class PlusSuite(SceneSuite):
    """LIBERO-Plus on one axis and one of "spatial", "object", "goal" and "10".

    Args:
        posed: of the robot axis, whether the joints are really set; else as released.
    """

    def __init__(self, axis: str, base: str, posed: bool = False) -> None:
        self._axis, self._posed, self._like = axis, posed, f"libero_{base}"
        about = f"LIBERO-Plus: {self._like}, {POSED if posed else ABOUT[axis]}"
        name = f"libero_plus_{axis}{'_posed' if posed else ''}_{base}"
        super().__init__(name, about, like=self._like)
        size = NOISE_SIZE if axis == "noise" else None
        changes = {
            "simulator": "LIBERO-Plus on MuJoCo",
            "render_size": size,
            # The robot really posed is ours, and none of the 10,030.
            "family": None if posed else "LIBERO-Plus",
        }
        self.spec = self.spec.model_copy(update=changes)
        self.keeps_assets = axis in COMPILING

    def tasks(self) -> Sequence[Task]:
        """LIBERO's tasks in its order; all of them locked where the wheel is not installed."""
        if lock := wheel.lock():
            return [
                dataclasses.replace(task, init_states=0, init_states_hash="", locked=lock)
                for task in libero_tasks(self._like)
            ]
        return _tasks(self._axis, self._like, os.environ.get(scenes.ASSETS))

    def fingerprint(self) -> Mapping[str, str]:
        """LIBERO's, the wheel's version, and a hash of the files that are used."""
        if wheel.lock():
            return {**super().fingerprint(), wheel.DISTRIBUTION: "locked"}
        return {
            **super().fingerprint(),
            wheel.DISTRIBUTION: wheel.VERSION,
            "plus_files": _used(self._axis, self._like, os.environ.get(scenes.ASSETS)),
        }

    def compiled(self, task: Task, rendering: str) -> LiberoSimulator:
        """Compile the base task's scene, or that of the first variant with one of its own."""
        from tasks.libero.plus.simulator import PlusSimulator

        return PlusSimulator(
            self._like,
            _of(self._axis, self._like)[task.name],
            [task.lock(state) for state in range(task.init_states)],
            init_states(self._like, task.index)[0],
            self._posed,
            rendering,
        )

    def diagnose(self) -> Sequence[Check]:
        """Whether the wheel is there; LIBERO itself is checked by its own suites."""
        lock = wheel.lock()
        detail = lock.partition(";")[0] or f"{wheel.DISTRIBUTION} {wheel.VERSION}"
        return [Check("LIBERO-Plus data", not lock, detail, wheel.REMEDY, required=False)]


@functools.cache
def _of(axis: str, suite: str) -> Mapping[str, tuple[Variant, ...]]:
    """Base task -> its variants on an axis, in the official order."""
    out: dict[str, list[Variant]] = {}
    for variant in variants(suite):
        if variant.axis == axis:
            out.setdefault(variant.base, []).append(variant)
    return {base: tuple(found) for base, found in out.items()}


@functools.cache
def _tasks(axis: str, suite: str, assets: str | None) -> tuple[Task, ...]:
    out = []
    for task in libero_tasks(suite):
        named = tuple(_named(suite, task, variant) for variant in _of(axis, suite)[task.name])
        # The names stand for what is done to the state; the files behind them are in the
        # fingerprint, and the instruction is part of a cell's key.
        states = hashlib.blake2b(task.init_states_hash.encode(), digest_size=16)
        for state in named:
            states.update(state.name.encode() + b"\0")
        out.append(
            dataclasses.replace(
                task, init_states=len(named), init_states_hash=states.hexdigest(), named=named
            )
        )
    return tuple(out)


def _named(suite: str, task: Task, variant: Variant) -> InitState:
    instruction, as_released = task.instruction, variant.as_released
    if variant.axis == "language":
        instruction = wheel.sentence(wheel.goal_file(suite, variant.goals).read_text())
        as_released = ""  # upstream reads the goal file here, too
    magnitude = variant.magnitude
    if variant.added:
        magnitude = float(scenes.added_objects(wheel.goal_file(suite, variant.goals)))
    return InitState(
        name=variant.name,
        instruction=instruction,
        as_released=as_released,
        factors=Factors(
            variant.axis,
            variant.kind,
            magnitude,
            variant.unit,
            base_suite=suite,
            base_task=task.name,
            # A layout's own state has all objects, and the arm, drawn anew.
            base_state=None if variant.own_state else 0,
        ),
        locked=scenes.lock_of(suite, variant),
    )


@functools.cache
def _used(axis: str, suite: str, assets: str | None) -> str:
    """Hash of the wheel's files that a suite reads, and of scenes and objects from the archive.

    Pictures and meshes of the archive, gigabytes, count by name and size.
    """
    files = [wheel.file(wheel.MAP)]
    if axis == "robot":
        files.append(wheel.file(wheel.POSES))
    found = [variant for of_task in _of(axis, suite).values() for variant in of_task]
    digest = hashlib.blake2b(digest_size=8)
    for variant in found:
        if variant.own_goals or axis == "language":
            files.append(wheel.goal_file(suite, variant.goals))
        if variant.own_state:
            files.append(wheel.state_file(suite, variant.name))
        if variant.own_goals and not scenes.lock_of(suite, variant):
            for path in scenes.scene_of(suite, variant).files():
                digest.update(_archived(path))
    digest.update(wheel.hash_of(files).encode())
    return digest.hexdigest()


@functools.cache
def _archived(path: Path) -> bytes:
    if path.suffix == ".xml":
        return path.name.encode() + path.read_bytes()
    return f"{path.name} {path.stat().st_size}".encode()
