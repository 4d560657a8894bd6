"""The interface every simulator implements. It knows nothing of LIBERO or MuJoCo.

A :class:`Suite` is light (the driver lists its tasks without importing a physics engine); a
:class:`Simulator` is heavy and lives alone in a worker process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wambench.contract import SuiteSpec
from wambench.facts import Facts, Role


@dataclass(frozen=True)
class Task:
    """One task of a suite."""

    index: int
    name: str
    instruction: str
    init_states: int  # how many fixed initial states there are
    init_states_hash: str  # of all of them, in order


@dataclass(frozen=True)
class Check:
    """One line of ``wambench doctor``. ``required``: nothing runs without it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


class Simulator(ABC):
    """One open task. Not thread-safe; one per process.

    The state of an episode is a function of (init state, seed, actions) alone.
    """

    @abstractmethod
    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        """Begin an episode at fixed initial state ``init_state``.

        ``seed_once_per_task`` reproduces harnesses that seed before the first trial only: trial k
        then sees what the random generator yields after k earlier resets.
        """

    @abstractmethod
    def step(self, action: NDArray[np.float64]) -> None:
        """Advance one control step with an action [dim] in the suite's convention."""

    @abstractmethod
    def success(self) -> bool:
        """Whether the official success predicate holds now."""

    @abstractmethod
    def snapshot(self) -> NDArray[np.float64]:
        """Return what is needed to draw the present camera frames later: float64 [n], n fixed."""

    @abstractmethod
    def draw(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Draw camera -> uint8 [H, W, 3], upright, of a snapshot taken in this task.

        Never disturbs the episode in progress.
        """

    @abstractmethod
    def proprio(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Return the named proprioception, float64 [dim] each, as of the present frame."""

    @abstractmethod
    def privileged(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Return what only a simulator can know, float64 [dim] each (an expert's action, …)."""

    def facts(self, snapshot: NDArray[np.float64]) -> Facts | None:
        """Tell what a snapshot taken in this task shows; None from a simulator that cannot.

        Fixtures must stand where they stood: reset to the episode's beginning first. Never
        disturbs the episode in progress.
        """
        return None

    def regions(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, Mapping[Role, NDArray[np.bool_]]]:
        """Return camera -> role -> bool [H, W], laid out as :meth:`draw` lays out frames.

        Every pixel has exactly one role. Empty from a simulator that cannot tell.
        """
        return {}

    @abstractmethod
    def digest(self) -> int:
        """64-bit hash of the full physical state, to prove replays bit-identical."""

    @abstractmethod
    def close(self) -> None:
        """Free what the simulator holds outside this process's memory."""


class Suite(ABC):
    """A set of tasks, registered under the entry-point group ``wambench.suites``."""

    spec: SuiteSpec

    @abstractmethod
    def tasks(self) -> Sequence[Task]:
        """List the tasks in their official order, without opening a simulator."""

    @abstractmethod
    def fingerprint(self) -> Mapping[str, str]:
        """Name -> version or hash of everything that moves a cell's physics (engine, assets…)."""

    def privileged_fingerprint(self, names: Sequence[str]) -> Mapping[str, str]:
        """The same for what moves the named privileged information (the expert's source, …)."""
        return {}

    @abstractmethod
    def open(self, task: Task, rendering: str) -> Simulator:
        """Open one task in this process with one of ``spec.renderings``."""

    def environment(self) -> Mapping[str, str]:
        """Facts of the process after :meth:`open` that are worth recording (GL renderer, …)."""
        return {}

    def golden_frames(self, rendering: str) -> Mapping[str, NDArray[np.uint8]]:
        """Reference frames, camera -> uint8 [H, W, 3] upright, of task 0, init state 0, seed 0."""
        return {}

    def diagnose(self) -> Sequence[Check]:
        """Check what this simulator needs of the machine; run once per ``spec.simulator``."""
        return []
