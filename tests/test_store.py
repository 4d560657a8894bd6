"""The run directory under a real SQLite: exports, plans, concurrent readers and writers."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CommandLine
from tests.records import SPEC, grid, make_cell, make_passport, make_record, make_run, plan_and_add
from wambench.cells import Cell, PolicyChoice
from wambench.errors import UserError
from wambench.store import STORE_NAME, Store, episodes_frame, export_table
from wambench.trace import Trace

CELLS = grid()


def edit(run: Path, statement: str) -> None:
    """Change a store behind the program's back."""
    with sqlite3.connect(run / STORE_NAME) as database:
        database.execute(statement)
    database.close()


def exports(run: Path, folder: Path) -> dict[str, bytes]:
    """The run's episodes in every format."""
    folder.mkdir()
    with Store.read(run) as store:
        for suffix in ("csv", "parquet", "json"):
            export_table(episodes_frame(store), folder / f"episodes.{suffix}")
    return {file.suffix: file.read_bytes() for file in sorted(folder.iterdir())}


def test_everything_comes_back(tmp_path: Path) -> None:
    cell = CELLS[0]
    record = make_record(cell, outcome="policy_error", fault="it's a \N{SNOWMAN}; 'quoted'")
    with Store.write(tmp_path / "run", "wambench sweep x") as store:
        store.set_passport(make_passport())
        plan_and_add(store, CELLS, [])
        store.add_episode(record)
        store.add_attempt(CELLS[1], "crash", "gone", "Traceback…")
    with Store.read(tmp_path / "run") as store:
        known = {stored.cell.key: stored for stored in store.cells()}
        assert set(known) == {cell.key for cell in CELLS} and store.known() == {cell.key}
        found = known[cell.key]
        assert (found.outcome, found.steps, found.fault) == (
            "policy_error",
            record.steps,
            record.fault,
        )
        assert found.cell == cell and found.seconds == record.seconds
        assert found.final_digest == f"{int(record.trace.digests[-1]):016x}"
        trace = store.trace(cell.key)
        assert trace.pack() == record.trace.pack()
        assert known[CELLS[1].key].outcome is None
        assert known[CELLS[1].key].infrastructure_failures == 1
        assert [attempt["kind"] for attempt in store.attempts()] == ["crash"]
        assert store.passport() == make_passport()
        (invocation,) = store.invocations()
        assert invocation["command"] == "wambench sweep x"
        assert invocation["ended"].startswith("finished")
        with pytest.raises(KeyError):
            store.trace(CELLS[1].key)


def test_known_results_are_never_overwritten(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", CELLS)
    before = exports(run, tmp_path / "before")
    with Store.write(run) as store:
        store.add_episode(make_record(CELLS[0], outcome="policy_error", fault="later"))
    assert exports(run, tmp_path / "after") == before


def test_results_without_a_passport_or_plan_are_refused_aloud(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="NOT NULL"), Store.write(tmp_path / "run") as store:
        plan_and_add(store, CELLS, CELLS[:1])
    with pytest.raises(UserError, match="FOREIGN KEY"), Store.write(tmp_path / "run") as store:
        store.set_passport(make_passport())
        store.add_episode(make_record(make_cell("unplanned")))


def test_exports_do_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    shuffled = [CELLS[i] for i in np.random.default_rng(0).permutation(len(CELLS))]
    first = exports(make_run(tmp_path / "a", CELLS, CELLS[3:]), tmp_path / "ea")
    second = exports(
        make_run(tmp_path / "b", shuffled, [c for c in shuffled if c in CELLS[3:]]), tmp_path / "eb"
    )
    assert first == second and first[".csv"].count(b"missing") == 3


def test_formats_agree(tmp_path: Path) -> None:
    exports(make_run(tmp_path / "run", CELLS, CELLS[2:]), tmp_path / "out")
    csv = pd.read_csv(
        tmp_path / "out/episodes.csv",
        dtype={"steps": "Int64", "final_digest": str},
        keep_default_na=False,
        na_values={"steps": [""]},
    )
    parquet = pd.read_parquet(tmp_path / "out/episodes.parquet")
    rows = json.loads((tmp_path / "out/episodes.json").read_text())
    assert list(csv) == list(parquet) == list(rows[0]) and len(csv) == len(CELLS) == len(rows)
    for name in csv:
        expected = ["" if pd.isna(value) else str(value) for value in parquet[name]]
        assert ["" if pd.isna(value) else str(value) for value in csv[name]] == expected
        assert ["" if row[name] is None else str(row[name]) for row in rows] == expected


def test_exported_actions_are_those_of_successes(tmp_path: Path, wambench: CommandLine) -> None:
    run = make_run(tmp_path / "run", CELLS)
    file = tmp_path / "actions.npz"
    ended = wambench("export", run, "--actions", file, "--policy", "p")
    assert ended.code == 0, ended.err
    won = [make_record(cell) for cell in CELLS if cell.policy == "p"]
    won = [record for record in won if record.outcome == "success"]
    with np.load(file) as archive:
        assert set(archive) == {f"toy/{r.cell.task}/{r.cell.init_state}" for r in won} != set()
        for record in won:
            name = f"toy/{record.cell.task}/{record.cell.init_state}"
            assert np.array_equal(archive[name], record.trace.actions)


def test_newer_plan_supersedes_older_cells_of_the_same_name(tmp_path: Path) -> None:
    old = [make_cell(init_state=i) for i in range(3)]
    new = [make_cell(init_state=i, made_by="new weights") for i in range(2)]
    run = make_run(tmp_path / "run", old)

    def current(cells: Sequence[Cell], planned: Sequence[Cell]) -> None:
        with Store.write(run) as store:
            store.add_plan(planned, [PolicyChoice("p", "p")], {"p": SPEC})
            assert {stored.cell.key for stored in store.cells()} == {cell.key for cell in cells}

    current([*new, old[2]], new)
    current(old, old)  # back to the old weights: their results are still there
    with Store.read(run) as store:
        assert all(stored.outcome for stored in store.cells())


# -- other programs on the same directory ------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from wambench.store import Store
with Store.write(Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(600)
"""


def test_second_writer_is_told_who_writes(tmp_path: Path, wambench: CommandLine) -> None:
    run, other = make_run(tmp_path / "run", CELLS), make_run(tmp_path / "other", CELLS)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "open\n"
            ended = wambench("merge", other, "--out", run)
            assert ended.code == 2
            assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
            assert f"process {holder.pid}" in ended.err and str(run) in ended.err
            with Store.read(run) as store:
                assert len(store.known()) == len(CELLS), "reading goes on"
        finally:
            holder.kill()
    with Store.write(run):
        pass  # the lock went with its process


def test_reader_sees_what_is_committed_and_waits_for_nobody(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", CELLS, CELLS[:2])
    with Store.write(run) as writer:
        writer.connection.execute("BEGIN IMMEDIATE")
        writer.connection.execute("DELETE FROM episodes")
        with Store.read(run) as reader:
            assert len(reader.known()) == 2
        writer.connection.rollback()
        writer.add_episode(make_record(CELLS[2]))
        with Store.read(run) as reader:
            assert len(reader.known()) == 3
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.connection.execute("DELETE FROM episodes")


# -- stores that are none ----------------------------------------------------------------------


def truncate(run: Path) -> None:
    data = (run / STORE_NAME).read_bytes()
    (run / STORE_NAME).write_bytes(data[: len(data) // 2])


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "another version": (
        lambda run: edit(run, "UPDATE meta SET value = '99' WHERE name = 'schema'"),
        "version 99",
    ),
    "another program's": (
        lambda run: [edit(run, "DROP TABLE episodes"), edit(run, "DROP TABLE meta")],
        "version unknown",
    ),
    "not SQLite": (lambda run: (run / STORE_NAME).write_text("hello " * 999), "not a database"),
    "truncated": (truncate, "malformed"),
    "a directory": (
        lambda run: [(run / STORE_NAME).unlink(), (run / STORE_NAME).mkdir()],
        STORE_NAME,
    ),
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("command", ["export", "merge from", "merge into"])
def test_spoiled_stores_are_refused_in_one_line(
    tmp_path: Path, wambench: CommandLine, how: str, command: str
) -> None:
    spoil, expected = SPOILED[how]
    good = make_run(tmp_path / "good", CELLS)
    run = make_run(tmp_path / "run", CELLS)
    spoil(run)
    before = sorted(tmp_path.rglob("*"))
    arguments = {
        "export": ("export", run, "--episodes", tmp_path / "out.csv"),
        "merge from": ("merge", run, good, "--out", tmp_path / "all"),
        "merge into": ("merge", good, "--out", run),
    }[command]
    ended = wambench(*arguments)
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert str(run) in ended.err and expected in ended.err
    new = set(tmp_path.rglob("*")) - set(before)
    assert not {path for path in new if not path.name.startswith((STORE_NAME, "run.lock"))}


def test_empty_store_of_a_killed_start_is_taken_up_again(
    tmp_path: Path, wambench: CommandLine
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / STORE_NAME).touch()
    ended = wambench("export", run, "--episodes", tmp_path / "out.csv")
    assert ended.code == 2 and "run the sweep again" in ended.err
    make_run(run, CELLS)
    with Store.read(run) as store:
        assert len(store.known()) == len(CELLS)


def test_copy_of_a_run_is_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", CELLS)
    assert sorted(path.name for path in run.iterdir()) == ["run.lock", STORE_NAME]
    shutil.copytree(run, tmp_path / "copy")
    with Store.read(tmp_path / "copy") as store:
        assert isinstance(store.trace(CELLS[0].key), Trace)
