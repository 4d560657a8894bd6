"""Runs of very many episodes: what commands hold and do does not grow with what is known.

Nothing here is timed. What Python gets to see is counted: records of episodes, rows of SQLite, and
the bytecodes that a sweep executes between two episodes.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests import big_run
from tests.conftest import CommandLine
from tests.records import make_passport, make_record, plan_and_add
from tests.test_early_stop import plan_of, until
from tests.test_report import good_passport, undrawn  # noqa: F401  (a fixture)
from wambench.cells import StoredCell
from wambench.stopping import Rounds, StoppingRule
from wambench.store import Store, outcomes_frame
from wambench.sweeping.agenda import Agenda
from wambench.sweeping.loop import Loop
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.pool import Event, Pool, Slot
from wambench.sweeping.progress import Reporter
from wambench.sweeping.worker import Finished

POLICIES, TASKS, STATES = 4, 5, 1000
ENDINGS = 4  # success, failure, policy error, missing


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 episodes."""
    folder = tmp_path_factory.mktemp("big") / "run"
    return big_run.fill(
        folder, list(big_run.grid(POLICIES, TASKS, STATES)), passport=good_passport()
    )


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Rows that SQLite hands out, and records made of them."""
    counted: Counter[str] = Counter()
    connect, make = sqlite3.connect, StoredCell.__init__

    def row(_: object, values: tuple[object, ...]) -> tuple[object, ...]:
        counted["rows"] += 1
        return values

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.row_factory = row
        return connection

    def made(self: StoredCell, *arguments: Any, **fields: Any) -> None:
        counted["records"] += 1
        make(self, *arguments, **fields)

    monkeypatch.setattr(sqlite3, "connect", connected)
    monkeypatch.setattr(StoredCell, "__init__", made)
    return counted


@pytest.mark.parametrize("command", ["runs show {run} --json", "runs --in {run} --json"])
def test_a_listing_sees_policies_and_tasks_and_no_episode(
    run: Path, wambench: CommandLine, seen: Counter[str], command: str
) -> None:
    ended = wambench(*command.format(run=run).split())
    assert ended.code == 0 and str(POLICIES * TASKS * STATES) in ended.out
    few = 30  # distinct faults, kinds of trouble, invocations
    assert POLICIES * TASKS <= seen["rows"] <= POLICIES * TASKS * ENDINGS + few
    assert not seen["records"]


@pytest.mark.usefixtures("undrawn")
def test_a_report_makes_records_of_the_episodes_it_shows(
    run: Path, wambench: CommandLine, seen: Counter[str], tmp_path: Path
) -> None:
    assert wambench("report", run, "--out", tmp_path / "page.html").code == 0
    shown = POLICIES * TASKS * 2 + 10  # a success and a failure of each, faults, the latest trouble
    assert 0 < seen["records"] <= shown


def test_outcomes_are_read_into_a_few_bytes_each(run: Path) -> None:
    with Store.read(run) as store:
        frame = outcomes_frame(store)
        ended = Counter(stored.outcome for stored in store.cells())
    found = frame["outcome"].astype(object).where(frame["outcome"].notna(), None)
    assert Counter(found) == ended and len(ended) == ENDINGS
    assert frame.memory_usage(deep=True).sum() < 48 * len(frame)


# -- a sweep -----------------------------------------------------------------------------------


def bytecodes(action: Callable[[], object]) -> int:
    """How many Python executes; unlike seconds they are always the same."""
    count, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def tick(folder: Path, seeds: str) -> int:
    """Bytecodes of a finished episode and what follows it, with half of the cells known."""
    plan = plan_of(seeds=seeds)
    with Store.write(folder, "a test") as store:
        store.set_passport(make_passport())
        plan_and_add(store, plan.cells, plan.cells[::2])
        agenda = Agenda(plan, plan.cells, store)
        options, reporter = SweepOptions(workers=1), Reporter(quiet=True)
        driver = Loop(plan, store, options, reporter, agenda, agenda.next())
        driver._pool = Pool(1, "exact", 120)
        cell = driver._schedule.next_of(("toy", 0), set(plan.policies))
        assert cell is not None
        slot = Slot(None, ("toy", 0), "run", None, cell)
        record = make_record(cell, outcome="success")

        def one() -> None:
            driver._handle(Event(slot, Finished(record, 100)))
            assert driver._schedule.next_task([], set(plan.policies)) is not None
            reporter.update(driver._eta())

        return bytecodes(one)


@pytest.mark.usefixtures("toy")
def test_a_finished_episode_is_no_more_work_in_a_long_sweep(tmp_path: Path) -> None:
    few, many = tick(tmp_path / "few", "0-3"), tick(tmp_path / "many", "0-39")
    assert many <= 1.1 * few, "ten times as many cells"


class Never(StoppingRule):
    """Asks for every round; ``told``: of how many cells each time."""

    def __init__(self) -> None:
        self.told: list[int] = []

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    def finished(self, cells: Sequence[StoredCell], rounds: Rounds) -> Mapping[str, str]:
        self.told.append(len(cells))
        return {}


@pytest.mark.usefixtures("toy")
def test_a_round_reads_its_own_cells(tmp_path: Path, seen: Counter[str]) -> None:
    plan, rule, read = plan_of(), Never(), []
    each = len(plan.policies) * len(plan.tasks)
    with Store.write(tmp_path / "run", "a test") as store:
        store.set_passport(make_passport())
        agenda = Agenda(plan, plan.cells, store, until(rule))
        while waiting := agenda.next():
            for cell in waiting:
                store.add_episode(make_record(cell))
            read.append(seen["rows"])
            seen.clear()
    assert rule.told == [each * number for number in range(1, len(read) + 1)]
    assert len(read) > 10 and set(read[1:]) == {each}
