"""The courses of the episodes that are looked at, unpacked once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.viewing.episode import cell_of
from analysis.viewing.runs import Run
from wambench import plugins
from wambench.cells import Cell
from wambench.clock import PREFIX
from wambench.errors import UserError
from wambench.inset import decisions_of, under_way
from wambench.protocols import Protocol

KEPT = 16  # episodes, of 1 MB at most


@dataclass(frozen=True)
class Tape:
    """An episode's course.

    Attributes:
        cell: whose.
        rules: the protocol it was run under.
        snapshots: float64 [T + 1, n].
        waits: of each snapshot the decision that is awaited, of :func:`wambench.inset.under_way`.
    """

    cell: Cell
    rules: Protocol
    snapshots: NDArray[np.float64]
    waits: Sequence[tuple[int, int] | None]

    def cameras(self) -> Sequence[str]:
        """Of its suite; UserError if that is not installed."""
        return plugins.make_suite(self.cell.suite).spec.cameras


class Tapes:
    """Reads courses from stores. Thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Tape] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, run: Run, key: str) -> Tape:
        """Raises one of UNREADABLE for an episode that is not there, or has no course."""
        with self._lock:
            known = self._known.get((run.id, key))
            if known is None:
                known = self._known[run.id, key] = _read(run, key)
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end((run.id, key))
            return known


def _read(run: Run, key: str) -> Tape:
    with run.open() as store:
        stored = cell_of(store, key)
        if stored.outcome is None:
            raise UserError(f"{stored.cell.describe()} has no episode yet; run its sweep")
        snapshots = store.trace(key).snapshots
        decisions = decisions_of(store.measurements(PREFIX, key).get(key, {}))
        waits = under_way(decisions, len(snapshots))
        return Tape(stored.cell, store.protocol(), snapshots, waits)
