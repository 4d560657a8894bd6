"""The run directories below a folder, and what each offers to choose from."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wambench.errors import UserError, one_line
from wambench.store import STORE_NAME, Store

FRESH_S = 5.0  # for which a list of folders is believed
UNREADABLE = (UserError, OSError, ValueError, TypeError)
"""What reading a store raises that is damaged, or somebody else's."""

Signature = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Run:
    """A run directory; ``id``: its path below the folder that is viewed."""

    id: str
    folder: Path

    @contextlib.contextmanager
    def open(self) -> Iterator[Store]:
        """Its store, of which no trace is left."""
        with Store.read(self.folder, leave_nothing=True) as store:
            store.connection.execute("PRAGMA temp_store = MEMORY")
            store.connection.execute("BEGIN")  # one moment of it, though a sweep may be writing
            yield store

    def signature(self) -> Signature:
        """Changes whenever the store does."""
        files = (self.folder / STORE_NAME, self.folder / f"{STORE_NAME}-wal")
        return tuple((s.st_mtime_ns, s.st_size) for f in files if f.exists() for s in [f.stat()])


@dataclass(frozen=True)
class Offer:
    """What a run's episodes can be chosen by.

    Attributes:
        policies: labels, in the order of the alphabet.
        tasks: (suite, number) -> the task's name.
        cells: how many there are.
        ended: how many of all that were ever asked for have an episode.
    """

    policies: Sequence[str]
    tasks: Mapping[tuple[str, int], str]
    cells: int
    ended: int


class Runs:
    """All run directories below a folder, looked for again as time goes by. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: Mapping[str, Run] = {}
        self._at = -FRESH_S
        self._offers: dict[str, tuple[Signature, Offer]] = {}
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, Run]:
        """Id -> run, in the order of their paths."""
        with self._lock:
            if time.monotonic() - self._at >= FRESH_S:
                places = sorted(file.parent for file in self.folder.rglob(STORE_NAME))
                runs = [Run(place.relative_to(self.folder).as_posix(), place) for place in places]
                self._found = {run.id: run for run in runs}
                self._at = time.monotonic()
            return self._found

    def get(self, name: str) -> Run:
        """The run of this id: one that was found here, no path is ever made of it."""
        run = self.all().get(name)
        if run is None:
            raise UserError(f"no run {name!r} in {str(self.folder)!r}; go back to the list")
        return run

    def offer(self, run: Run) -> Offer:
        """What there is to choose; raises one of UNREADABLE."""
        now = run.signature()
        known = self._offers.get(run.id)
        if known is None or known[0] != now:
            with run.open() as store:
                known = now, _offer(store)
            self._offers[run.id] = known
        return known[1]

    def offers(self) -> tuple[Mapping[str, Offer], Mapping[str, str]]:
        """Run id -> its offer, and run id -> why it cannot be read."""
        offers, problems = {}, {}
        for run in self.all().values():
            try:
                offers[run.id] = self.offer(run)
            except UNREADABLE as error:
                problems[run.id] = told(error)
        return offers, problems


def told(error: Exception) -> str:
    """An error of a store in one line."""
    return str(error) if isinstance(error, UserError) else one_line(error)


def _offer(store: Store) -> Offer:
    rows = store.connection.execute(
        "SELECT policy, suite, task_index, max(task), count(*) FROM cells WHERE current "
        "GROUP BY policy, suite, task_index ORDER BY policy, suite, task_index"
    ).fetchall()
    tasks = {(suite, number): name for _, suite, number, name, _ in rows}
    return Offer(
        policies=list(dict.fromkeys(row[0] for row in rows)),
        tasks=dict(sorted(tasks.items())),
        cells=sum(row[4] for row in rows),
        ended=store.episodes(),
    )
