"""The process that draws: one open task, asked over a pipe. It holds no torch."""

from __future__ import annotations

import io
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.failures import Failure, explain
from wambench import plugins
from wambench.cells import Cell
from wambench.episode import reset
from wambench.errors import UserError, one_line
from wambench.inset import with_inset
from wambench.protocols import Protocol
from wambench.suite import Simulator, Task

SIDE = 256  # pixels of a frame
QUALITY = 90  # of its JPEG


@dataclass(frozen=True)
class Frame:
    """Wanted: a moment as a camera shows it.

    Attributes:
        cell: whose.
        snapshot: float64 [n].
        camera: one of the suite's.
        wait: the decision that is awaited, see :mod:`wambench.inset`.
    """

    cell: Cell
    snapshot: NDArray[np.float64]
    camera: str
    wait: tuple[int, int] | None = None


@dataclass(frozen=True)
class Why:
    """Wanted: why an episode failed. ``snapshots``: float64 [T + 1, n]."""

    cell: Cell
    snapshots: NDArray[np.float64]


@dataclass(frozen=True)
class Refusal:
    """An answer: it cannot be done, in one line."""

    line: str


Wanted = Frame | Why
Answer = bytes | Failure | Refusal


def serve(pipe: Connection, suite: str) -> None:
    """Make ready, open the task that comes first over the pipe, and answer until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks
    try:
        plugins.make_suite(suite).prepare()
        task, rules = pipe.recv()
        table = _Table(suite, task, rules)
    except EOFError:
        return
    except Exception as error:
        pipe.send(_refusal(error))
        return
    pipe.send(b"")
    while True:
        try:
            wanted: Wanted = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(table.answer(wanted))
        except Exception as error:
            pipe.send(_refusal(error))


def _refusal(error: Exception) -> Refusal:
    return Refusal(str(error) if isinstance(error, UserError) else one_line(error))


class _Table:
    """An open task, and the initial state whose fixtures stand in it."""

    def __init__(self, suite: str, task: str, rules: Protocol) -> None:
        self._suite, self._rules = plugins.make_suite(suite), rules
        self._task = task_of(suite, task)
        self._simulator: Simulator = self._suite.open(self._task, rules.rendering)
        self._init_state = -1

    def answer(self, wanted: Wanted) -> Answer:
        if wanted.cell.init_state != self._init_state:
            # Snapshots hold what moves; where fixtures stand is settled by the reset.
            start = self._task.start(wanted.cell.init_state)
            reset(wanted.cell, self._rules, start, self._simulator)
            self._init_state = wanted.cell.init_state
        if isinstance(wanted, Why):
            return self._explain(wanted.snapshots)
        drawn = self._simulator.draw(wanted.snapshot, [wanted.camera], (SIDE, SIDE))
        hz, file = self._suite.spec.control_hz, io.BytesIO()
        (shown,) = with_inset(iter([drawn[wanted.camera]]), [wanted.wait], hz)
        Image.fromarray(shown).save(file, "JPEG", quality=QUALITY)
        return file.getvalue()

    def _explain(self, snapshots: NDArray[np.float64]) -> Answer:
        facts = [self._simulator.facts(snapshot) for snapshot in snapshots]
        told = [moment for moment in facts if moment is not None]
        if len(told) < len(facts):
            return Refusal(f"{self._suite.spec.simulator} tells no facts of its snapshots")
        return explain(told, self._suite.spec.control_hz)


def task_of(suite: str, task: str) -> Task:
    """The installed task of this name; UserError where there is none."""
    found = next((one for one in plugins.make_suite(suite).tasks() if one.name == task), None)
    if found is None:
        raise UserError(f"the installed {suite} has no task {task!r}; install its version")
    return found
