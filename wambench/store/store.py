"""Open, write and read one run directory.

Crash safety: every episode is one SQLite transaction in WAL mode, so a process killed at any
moment leaves all finished episodes and nothing of the unfinished ones. One writer: an advisory
lock on ``run.lock`` is held while a store is open for writing and vanishes with the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import struct
import uuid
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from wambench.cells import Cell, PolicyChoice, StoredCell
from wambench.clock import Timing
from wambench.contract import PolicySpec
from wambench.episode import EpisodeRecord
from wambench.errors import UserError, one_line
from wambench.passport import Passport
from wambench.protocols import Protocol
from wambench.stopping import Stopping
from wambench.store import schema
from wambench.suite import Factors
from wambench.trace import Trace

STORE_NAME = "run.sqlite"
LOCK_NAME = "run.lock"

CELL_COLUMNS = "key, policy, protocol, suite, task_index, task, init_state, seed"
FACTORS = "axis, kind, magnitude, unit, base_suite, base_task, base_state"
CANONICAL = "policy, suite, task_index, init_state, seed"
FEW = 500  # keys in one statement


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """A run directory. Use :meth:`write` or :meth:`read`, as context managers."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._db = connection

    # -- opening ---------------------------------------------------------------------------

    @classmethod
    @contextlib.contextmanager
    def write(cls, folder: Path, command: str = "") -> Iterator[Self]:
        """Open for writing, creating what is missing; raises UserError if it cannot be."""
        with cls._guard(folder), _only_writer(folder):
            fresh = not (folder / STORE_NAME).exists()
            with contextlib.closing(
                sqlite3.connect((folder / STORE_NAME).resolve().as_uri(), uri=True)
            ) as connection:
                if not fresh:
                    _check_version(folder, connection)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
                _create_if_new(connection)
                for table in schema.LATER.values():
                    connection.execute(table)
                store = cls(folder, connection)
                with store._db:
                    row = store._db.execute(
                        "INSERT INTO invocations (command, started_at) VALUES (?, ?)",
                        (command, _now()),
                    )
                ended = "stopped"
                try:
                    yield store
                    ended = "finished"
                finally:
                    with contextlib.suppress(sqlite3.Error), store._db:
                        store._db.execute(
                            "UPDATE invocations SET ended = ? WHERE id = ?",
                            (f"{ended} {_now()}", row.lastrowid),
                        )

    @classmethod
    @contextlib.contextmanager
    def read(cls, folder: Path, *, leave_nothing: bool = False) -> Iterator[Self]:
        """Open an existing run read-only; never waits for or disturbs a writer.

        ``leave_nothing``: see :func:`read_uri`.
        """
        if not (folder / STORE_NAME).is_file():
            raise UserError(
                f"{str(folder)!r} is not a run directory (no {STORE_NAME} in it); "
                "name the --out of a sweep"
            )
        with (
            cls._guard(folder),
            contextlib.closing(
                sqlite3.connect(read_uri(folder, leave_nothing=leave_nothing), uri=True)
            ) as connection,
        ):
            if not _check_version(folder, connection):
                raise UserError(
                    f"{str(folder)!r} holds an empty store: no sweep got past its start; "
                    "run the sweep again"
                )
            yield cls(folder, connection)

    @staticmethod
    @contextlib.contextmanager
    def _guard(folder: Path) -> Iterator[None]:
        """Turn storage errors into one line with the remedy."""
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            remedy = "check the directory's permissions"
            if "full" in text:
                remedy = "free some space and run the same command again; nothing stored is lost"
            elif "readonly" in text or "unable to open" in text:
                remedy = "make it writable or choose another --out"
            elif "locked" in text:
                remedy = "another program holds it: close that and run the same command again"
            elif "I/O" in text:
                remedy = "check that its disk works and has space; nothing stored is lost"
            raise UserError(f"cannot use the store in {str(folder)!r}: {text}; {remedy}") from None
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{str(folder / STORE_NAME)!r} is not a usable store: {error}; "
                "choose another --out or restore it from a backup"
            ) from None

    # -- writing ---------------------------------------------------------------------------

    def add_plan(
        self,
        cells: Iterable[Cell],
        choices: Collection[PolicyChoice],
        specs: Mapping[str, PolicySpec],
        told: Iterable[tuple[Cell, str, Factors]] = (),
    ) -> None:
        """Record what a sweep asks for; same-named cells under older keys become not current.

        ``told``: for cells that change something of a plain one, the variant's name and what.
        """
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?)",
                [
                    (c.label, c.name, json.dumps(dict(c.options)), specs[c.label].model_dump_json())
                    for c in choices
                ],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO timings VALUES (?, ?)",
                [(c.label, c.timing.model_dump_json()) for c in choices if c.timing is not None],
            )
            rows = [vars(cell) for cell in cells]
            self._db.executemany(
                "UPDATE cells SET current = 0 WHERE policy = :policy AND suite = :suite "
                "AND task = :task AND init_state = :init_state AND seed = :seed AND key != :key",
                rows,
            )
            self._db.executemany(
                f"INSERT INTO cells ({CELL_COLUMNS}) VALUES (:key, :policy, :protocol, :suite, "
                ":task_index, :task, :init_state, :seed) "
                "ON CONFLICT (key) DO UPDATE SET current = 1, policy = :policy",
                rows,
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO factors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (cell.suite, cell.task, cell.init_state, name, *astuple(factors))
                    for cell, name, factors in told
                ],
            )

    def withdraw(self, cells: Iterable[Cell]) -> None:
        """Take back that these cells were asked for; until they are again, none is missing."""
        with self._db:
            self._db.executemany(
                "UPDATE cells SET current = 0 WHERE key = ?", [(cell.key,) for cell in cells]
            )

    def set_stopping(self, record: Stopping) -> None:
        """Remember by which rule the run is ended early, and what it has said so far."""
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO meta VALUES ('stopping', ?)", (record.model_dump_json(),)
            )

    def set_passport(self, passport: Passport) -> None:
        """Make this the passport of what is written from now on."""
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO passports VALUES (?, ?, ?)",
                (passport.id, _now(), passport.model_dump_json()),
            )
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('passport', ?)", (passport.id,))

    def add_episode(self, record: EpisodeRecord) -> None:
        """Store one finished episode. A cell that is known already is left as it is."""
        final = f"{int(record.trace.digests[-1]):016x}"
        with self._db:
            self._db.execute(
                "INSERT INTO episodes VALUES (?, (SELECT value FROM meta WHERE "
                "name = 'passport'), ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (cell_key) DO NOTHING",
                (
                    record.cell.key, record.outcome, record.steps, record.looks, record.fault,
                    final, record.trace.pack(), json.dumps(record.seconds), _now(),
                ),
            )  # fmt: skip
            self._db.executemany(
                "INSERT INTO measurements VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [
                    (record.cell.key, name, json.dumps(list(numbers)))
                    for name, numbers in record.measured.items()
                ],
            )

    def add_attempt(self, cell: Cell, kind: str, message: str, trace: str) -> None:
        """Record an infrastructure failure of a cell."""
        with self._db:
            self._db.execute(
                "INSERT INTO attempts (cell_key, kind, message, traceback, at) "
                "VALUES (?, ?, ?, ?, ?)",
                (cell.key, kind, message, trace, _now()),
            )

    # -- reading ---------------------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """For queries of the store's own modules."""
        return self._db

    def episodes(self) -> int:
        """How many episodes are known."""
        (count,) = self._db.execute("SELECT count(*) FROM episodes").fetchone()
        return int(count)

    def known(self) -> set[str]:
        """Keys of cells that have an episode."""
        return {key for (key,) in self._db.execute("SELECT cell_key FROM episodes")}

    def passport(self) -> Passport | None:
        """The run's passport; None before the first sweep got that far."""
        row = self._db.execute(
            "SELECT json FROM passports JOIN meta ON meta.value = passports.id "
            "WHERE meta.name = 'passport'"
        ).fetchone()
        with self._this_version("passport"):
            return Passport.model_validate_json(row[0]) if row else None

    def protocol(self) -> Protocol:
        """The run's protocol; UserError if it has none, or one of another version of wambench."""
        passport = self.passport()
        if passport is None:
            raise UserError(f"{str(self.folder)!r} has no passport: no sweep got past its start")
        if passport.is_imported:
            raise UserError(
                f"{str(self.folder)!r} holds imported results, of which nobody stored the course; "
                "ask the harness that ran them"
            )
        with self._this_version("protocol"):
            return Protocol.model_validate(passport.protocol)

    def stopping(self) -> Stopping | None:
        """The rule by which the run was ended early; None: it plays what its file says."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'stopping'").fetchone()
        with self._this_version("stopping rule"):
            return Stopping.model_validate_json(row[0]) if row else None

    def policies(self) -> Mapping[str, tuple[PolicyChoice, PolicySpec]]:
        """Label -> choice and spec as they were at the last sweep."""
        rows = self._db.execute("SELECT label, name, options, spec FROM policies ORDER BY rowid")
        timings = {}
        if has_table(self._db, "main", "timings"):
            timings = dict(self._db.execute("SELECT label, timing FROM timings"))
        with self._this_version("policies"):
            return {
                label: (
                    PolicyChoice(
                        label,
                        name,
                        json.loads(options),
                        Timing.model_validate_json(timings[label]) if label in timings else None,
                    ),
                    PolicySpec.model_validate_json(spec),
                )
                for label, name, options, spec in rows
            }

    @contextlib.contextmanager
    def _this_version(self, what: str) -> Iterator[None]:
        """Turn records that this version does not know into one line."""
        try:
            yield
        except ValidationError as error:
            raise UserError(
                f"another version of wambench wrote the {what} of {str(self.folder)!r} "
                f"({one_line(error)}); read it with that version"
            ) from None

    def cells(self, keys: Iterable[str] | None = None) -> Sequence[StoredCell]:
        """Current cells in canonical order (policy, suite, task, init state, seed).

        All, or those with the given keys: ask for few where few will do.
        """
        if keys is None:
            return self._cells("", ())
        wanted = list(keys)
        found = [
            stored
            for start in range(0, len(wanted), FEW)
            for part in [wanted[start : start + FEW]]
            for stored in self._cells(f"AND key IN ({', '.join('?' * len(part))})", part)
        ]
        return sorted(found, key=lambda stored: stored.cell.place)

    def _cells(self, condition: str, values: Sequence[str]) -> list[StoredCell]:
        rows = self._db.execute(
            f"SELECT {CELL_COLUMNS}, outcome, steps, fault, final_digest, seconds, tries, looks "
            "FROM cells LEFT JOIN episodes ON cell_key = key "
            "LEFT JOIN (SELECT cell_key AS tried, count(*) AS tries FROM attempts GROUP BY 1) "
            f"ON tried = key WHERE current {condition} ORDER BY {CANONICAL}",
            values,
        )
        return [
            StoredCell(
                Cell(*row[:8]), row[8], row[9], row[10] or "", row[11],
                json.loads(row[12]) if row[12] else {}, row[13] or 0, row[14] or 0,
            )
            for row in rows
        ]  # fmt: skip

    def trace(self, key: str) -> Trace:
        """The trace of a known cell; KeyError otherwise, UserError if it is gone or damaged."""
        row = self._db.execute("SELECT trace FROM episodes WHERE cell_key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        if not row[0]:
            raise UserError(
                f"{str(self.folder)!r} was kept without the courses of its episodes; "
                "name the run it was made from, or run its sweep again"
            )
        try:
            return Trace.unpack(row[0])
        except (zlib.error, struct.error, ValueError) as error:
            raise UserError(
                f"the course of episode {key} in {str(self.folder)!r} is damaged "
                f"({one_line(error)}); restore the run from a backup, or run its sweep anew"
            ) from None

    def measurements(
        self, prefix: str, key: str | None = None
    ) -> Mapping[str, Mapping[str, Sequence[float]]]:
        """Key -> name -> a number for each look, of names that begin so; of all current cells.

        Or of one cell alone, with its ``key``.
        """
        if not has_table(self._db, "main", "measurements"):
            return {}
        chosen, values = ("current", []) if key is None else ("cell_key = ?", [key])
        rows = self._db.execute(
            "SELECT cell_key, name, numbers FROM measurements JOIN cells ON key = cell_key "
            f"WHERE {chosen} AND substr(name, 1, ?) = ? ORDER BY {CANONICAL}, name",
            (*values, len(prefix), prefix),
        )
        found: dict[str, dict[str, Sequence[float]]] = {}
        for key, name, numbers in rows:
            found.setdefault(key, {})[name] = json.loads(numbers)
        return found

    def factors(self) -> Mapping[tuple[str, str, int], Factors]:
        """(Suite, task, init state) -> what it changes of a plain one; plain ones are left out."""
        if not has_table(self._db, "main", "factors"):
            return {}
        rows = self._db.execute(f"SELECT suite, task, init_state, {FACTORS} FROM factors")
        return {(suite, task, state): Factors(*told) for suite, task, state, *told in rows}

    def attempts(self, latest: int = -1) -> Sequence[Mapping[str, Any]]:
        """Infrastructure failures, oldest first: all, or so many of the latest."""
        cursor = self._db.execute(
            "SELECT cell_key, kind, message, traceback, at FROM attempts ORDER BY id DESC LIMIT ?",
            (latest,),
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor][::-1]

    def invocations(self) -> Sequence[Mapping[str, Any]]:
        """The commands that wrote to this run."""
        cursor = self._db.execute("SELECT command, started_at, ended FROM invocations ORDER BY id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def read_uri(folder: Path, *, leave_nothing: bool = False) -> str:
    """Where SQLite finds a store that is only read.

    A reader of a WAL store makes files beside it. On a read-only medium it cannot, and need not:
    nobody writes there. (A -wal file that a crash left full must be read, and makes this fail.)

    ``leave_nothing`` makes none elsewhere either while nobody writes: for readers that are done in
    a moment, since a sweep that starts meanwhile may change the file under them. Beside a -wal
    file that is full its index is there already, but for one that a crash left.
    """
    file = folder / STORE_NAME
    wal = file.with_name(f"{STORE_NAME}-wal")
    left_over = wal.exists() and wal.stat().st_size > 0
    untouched = leave_nothing or not os.access(folder, os.W_OK)
    immutable = "&immutable=1" if untouched and not left_over else ""
    return f"{file.resolve().as_uri()}?mode=ro{immutable}"


def has_table(connection: sqlite3.Connection, database: str, table: str) -> bool:
    """Whether a store has one of the tables that came later than others."""
    query = f"SELECT 1 FROM {database}.sqlite_master WHERE name = ?"
    return connection.execute(query, (table,)).fetchone() is not None


@contextlib.contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(
            f"cannot write to {str(folder)!r}: {error.strerror}; choose another --out"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(lock, 100).decode() or "another process"
            raise UserError(
                f"{str(folder)!r} is being written by {holder}; wait for it or stop it"
            ) from None
        with contextlib.suppress(OSError):  # the name is for messages: a full disk may go without
            os.ftruncate(lock, 0)
            os.write(lock, f"process {os.getpid()}".encode())
        yield
    finally:
        os.close(lock)


def _check_version(folder: Path, connection: sqlite3.Connection) -> bool:
    """Refuse a store of another version; False for one that holds no tables yet."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables:
        return False  # killed between creating the file and the tables
    found = None
    if "meta" in tables:
        found = connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    if found is None or found[0] != str(schema.VERSION):
        raise UserError(
            f"{str(folder)!r} holds a store of version {found[0] if found else 'unknown'}, "
            f"this wambench knows version {schema.VERSION}; use the other, or choose another --out"
        )
    return True


def _create_if_new(connection: sqlite3.Connection) -> None:
    """Create all tables in one transaction, so that a kill leaves all of them or none."""
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        return
    statements = [part for part in schema.TABLES.split(";") if part.strip()]
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('schema', ?)", (str(schema.VERSION),))
        connection.execute("INSERT INTO meta VALUES ('run_id', ?)", (uuid.uuid4().hex,))
