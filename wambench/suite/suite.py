"""The interface of a set of tasks: light, so that a driver lists tasks without a physics engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wambench.contract import SuiteSpec
from wambench.errors import UserError
from wambench.suite.simulator import Simulator
from wambench.suite.task import Task


@dataclass(frozen=True)
class Check:
    """One line of ``wambench doctor``. ``required``: nothing runs without it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


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

    def prepare(self) -> None:  # noqa: B027 (most have nothing to do)
        """Do in this process what :meth:`open` does for every task alike, such as imports."""

    @abstractmethod
    def open(self, task: Task, rendering: str) -> Simulator:
        """Open one task in this process with one of ``spec.renderings``."""

    def environment(self) -> Mapping[str, str]:
        """Facts of the process after :meth:`open` that are worth recording (GL renderer, …)."""
        return {}

    def golden_frames(self, rendering: str) -> Mapping[str, NDArray[np.uint8]]:
        """Reference frames, camera -> uint8 [H, W, 3] upright, of the first state that is open."""
        return {}

    def diagnose(self) -> Sequence[Check]:
        """Check what this simulator needs of the machine; run once per ``spec.simulator``."""
        return []


def first_task(suite: Suite) -> Task:
    """The first task that can be run; raises UserError, naming the key, if all are locked."""
    tasks = suite.tasks()
    found = next((task for task in tasks if task.open_states), None)
    if found is None:
        why = next((lock for task in tasks for lock in task.locks), "it has no initial states")
        raise UserError(f"{suite.spec.name} is locked: {why}")
    return found
