"""A run without the recorded courses of its episodes: small enough to be kept beside code."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from wambench.errors import UserError
from wambench.store.store import STORE_NAME, Store


def lighten(source: Path, target: Path) -> int:
    """Copy a run directory without its traces; returns how many episodes it has.

    Everything else but tracebacks stays: outcomes, steps, times, passports, failures. What replays
    or draws an episode needs the original. Raises UserError if ``source`` is no run or ``target``
    holds one.
    """
    copy = target / STORE_NAME
    if copy.exists():
        raise UserError(f"{str(target)!r} holds a run already; name another directory")
    part = copy.with_name(STORE_NAME + ".part")
    with Store.read(source) as store:
        try:
            target.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write to {str(target)!r}: {error.strerror}; choose another directory"
            ) from None
        store.connection.execute("VACUUM INTO ?", (str(part),))
        count = store.episodes()
    with contextlib.closing(sqlite3.connect(part)) as database:
        # A reader of a store in WAL mode leaves files beside it.
        database.execute("PRAGMA journal_mode = DELETE")
        with database:
            database.execute("UPDATE episodes SET trace = x''")
            database.execute("UPDATE attempts SET traceback = ''")  # they name a machine's files
        database.execute("VACUUM")
    part.replace(copy)
    return count
