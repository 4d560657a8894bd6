"""A run without courses: the same numbers, a fraction of the size, no file left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.records import grid, make_run
from tests.test_report import write_run
from wambench.errors import UserError
from wambench.store import Store, lighten, merge_runs

CELLS = grid(tasks=4, init_states=5)


def test_a_light_run_tells_all_but_the_courses(tmp_path: Path, wambench: CommandLine) -> None:
    run, light = make_run(tmp_path / "run", CELLS, CELLS[:-3]), tmp_path / "light"
    with Store.write(run) as store:
        store.add_attempt(CELLS[-1], "crash", "gone", "Traceback: /home/someone/file.py")
    ended = wambench("export", run, "--light", light)
    assert ended.code == 0 and f"{len(CELLS) - 3} episodes" in ended.out
    with Store.read(run) as full, Store.read(light) as slim:
        assert slim.cells() == full.cells() and slim.passport() == full.passport()
        assert slim.policies() == full.policies() and slim.invocations() == full.invocations()
        (attempt,) = slim.attempts()
        assert attempt["message"] == "gone" and not attempt["traceback"]
        with pytest.raises(UserError, match="without the courses of its episodes"):
            slim.trace(CELLS[0].key)
        slim.cells()
    assert [file.name for file in light.iterdir()] == ["run.sqlite"]
    assert (light / "run.sqlite").stat().st_size < (run / "run.sqlite").stat().st_size

    refused = wambench("export", light, "--actions", tmp_path / "a.npz", "--policy", "p")
    assert refused.code == 2 and "name the run it was made from" in refused.err


def test_a_light_run_has_a_report(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"p": "ssff"})
    lighten(run, tmp_path / "light")
    assert wambench("report", tmp_path / "light").code == 0
    page = (tmp_path / "light" / "report.html").read_text()
    assert "2/4" in page and "without the courses of its episodes" in page


def test_a_light_run_can_be_merged_with_others(tmp_path: Path) -> None:
    lighten(make_run(tmp_path / "a", CELLS[:10]), tmp_path / "light")
    other = make_run(tmp_path / "b", CELLS[10:])
    assert merge_runs([tmp_path / "light", other], tmp_path / "all") == len(CELLS)


def test_a_directory_with_a_run_is_refused(tmp_path: Path, wambench: CommandLine) -> None:
    run = make_run(tmp_path / "run", CELLS)
    ended = wambench("export", run, "--light", run)
    assert ended.code == 2 and "holds a run already" in ended.err
    assert wambench("export", tmp_path / "none", "--light", tmp_path / "x").code == 2
    assert not (tmp_path / "x").exists()
