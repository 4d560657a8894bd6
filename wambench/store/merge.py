"""Merge runs of several machines into one directory; the union of their cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from wambench.cells import Cell
from wambench.errors import UserError
from wambench.passport import ARITHMETIC, Passport, merged, refused
from wambench.stopping import Stopping
from wambench.store.store import STORE_NAME, Store, has_table, read_uri


def merge_runs(
    sources: Sequence[Path],
    target: Path,
    *,
    allow_mismatch: Sequence[str] = (),
    command: str = "",
    keys: Iterable[str] | None = None,
) -> int:
    """Copy everything known in ``sources`` into ``target``; returns the number of new episodes.

    ``keys``: of the cells to copy, with their policies; all if None.

    Raises UserError, before anything is written, if passports disagree (other than in a part
    named in ``allow_mismatch``), the same cell ended differently (unless its policy's arithmetic
    is in ``allow_mismatch``: then the first outcome counts), or two runs were ended early by
    different rules.
    """
    passports: list[tuple[Path, Passport]] = []
    clashes: list[tuple[Cell, str]] = []
    seen: dict[str, tuple[str, Path]] = {}
    stopped: list[tuple[Path, Stopping]] = []
    existing = [target] if (target / STORE_NAME).exists() else []
    for folder in [*existing, *sources]:
        with Store.read(folder) as store:
            passport = store.passport()
            if passport is None:
                raise UserError(f"{str(folder)!r} has no passport: no sweep got past its start")
            passports.append((folder, passport))
            if (record := store.stopping()) is not None:
                stopped.append((folder, record))
            for known in store.cells():
                if known.outcome is None:
                    continue
                ended = f"{known.outcome} after {known.steps} steps, state {known.final_digest}"
                other = seen.setdefault(known.cell.key, (ended, folder))
                if other[0] != ended:
                    told = f"is {other[0]} in {other[1]} and {ended} in {folder}"
                    clashes.append((known.cell, told))
    first_folder, total = passports[0]
    for folder, passport in passports[1:]:
        _check_comparable(total, passport, str(first_folder), str(folder), allow_mismatch)
        total = merged(total, passport)
    for cell, told in clashes:
        # How a policy computes was found to differ, and allowed: the first outcome is kept.
        if ARITHMETIC + cell.policy not in allow_mismatch:
            raise UserError(
                f"the same cell ended differently: {cell.describe()} {told}; keep these runs apart"
            )
    for folder, record in stopped[1:]:
        if record != stopped[0][1]:
            raise UserError(
                f"{str(stopped[0][0])!r} and {str(folder)!r} were ended early by different rules "
                "or at different rounds; keep these runs apart"
            )

    with Store.write(target, command) as store:
        before = store.episodes()
        store.set_passport(total)
        for _, record in stopped[:1]:
            store.set_stopping(record)
        for source in sources:
            if source.resolve() == target.resolve():
                continue
            _copy(store, source, keys)
        return store.episodes() - before


def _check_comparable(
    ours: Passport, theirs: Passport, our_name: str, their_name: str, allow: Sequence[str]
) -> None:
    found = refused(ours, theirs, allow)
    if found:
        raise UserError(
            f"passports of {our_name} and {their_name} disagree: {'; '.join(found)}; "
            f"to go on all the same add --allow-mismatch {found[0].split(': ')[0]}"
        )


def _copy(store: Store, source: Path, keys: Iterable[str] | None) -> None:
    database = store.connection
    database.execute("ATTACH ? AS other", (read_uri(source),))
    try:
        with database:
            database.execute("CREATE TEMP TABLE wanted (key TEXT PRIMARY KEY)")
            if keys is None:
                database.execute("INSERT INTO wanted SELECT key FROM other.cells")
            else:
                database.executemany("INSERT INTO wanted VALUES (?)", [(key,) for key in keys])
            played = "SELECT policy FROM other.cells WHERE key IN wanted"
            tables = [
                ("passports", "TRUE"),
                ("policies", f"label IN ({played})"),
                ("cells", "key IN wanted"),
                ("episodes", "cell_key IN wanted"),
            ]
            if has_table(database, "other", "measurements"):
                new = "cell_key NOT IN (SELECT cell_key FROM episodes)"
                tables.insert(-1, ("measurements", f"cell_key IN wanted AND {new}"))
            if has_table(database, "other", "timings"):
                tables.append(("timings", f"label IN ({played})"))
            if has_table(database, "other", "factors"):
                tables.append(("factors", "TRUE"))
            for table, of_it in tables:
                database.execute(
                    f"INSERT OR IGNORE INTO {table} SELECT * FROM other.{table} WHERE {of_it}"
                )
            # What a rule spared here may have been played there.
            database.execute(
                "UPDATE cells SET current = 1 WHERE NOT current "
                "AND key IN (SELECT key FROM other.cells AS theirs WHERE theirs.current) "
                "AND NOT EXISTS (SELECT 1 FROM cells AS named WHERE named.current AND "
                "named.policy = cells.policy AND named.suite = cells.suite AND "
                "named.task = cells.task AND named.init_state = cells.init_state AND "
                "named.seed = cells.seed)"
            )
            database.execute(
                "INSERT INTO attempts (cell_key, kind, message, traceback, at) "
                "SELECT cell_key, kind, message, traceback, at FROM other.attempts AS theirs "
                "WHERE cell_key IN wanted AND NOT EXISTS "
                "(SELECT 1 FROM attempts AS ours WHERE ours.cell_key = theirs.cell_key AND "
                "ours.at = theirs.at AND ours.kind = theirs.kind)"
            )
            # Under an allowed mismatch one name can have two keys; count it once, first come.
            database.execute(
                "UPDATE cells SET current = 0 WHERE EXISTS (SELECT 1 FROM cells AS other WHERE "
                "other.current AND other.rowid < cells.rowid AND other.policy = cells.policy AND "
                "other.suite = cells.suite AND other.task = cells.task AND "
                "other.init_state = cells.init_state AND other.seed = cells.seed)"
            )
            database.execute("DROP TABLE wanted")
    finally:
        database.execute("DETACH other")
