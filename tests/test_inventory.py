"""Listing runs: what they hold is what their stores hold; a broken one hides no other."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import CommandLine
from tests.records import grid, make_run
from wambench.store import STORE_NAME

CELLS = grid(tasks=2, init_states=3)


def test_runs_are_listed_and_shown(tmp_path: Path, wambench: CommandLine) -> None:
    make_run(tmp_path / "runs" / "a", CELLS)
    half = make_run(tmp_path / "runs" / "deep" / "b", CELLS, CELLS[:5])
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / STORE_NAME).write_text("no database")
    listed = json.loads(wambench("runs", "--in", tmp_path / "runs", "--json").out)
    by_name = {Path(row["run"]).name: row for row in listed}
    assert set(by_name) == {"a", "b", "broken"}
    assert (by_name["a"]["done"], by_name["a"]["cells"]) == (12, 12)
    assert (by_name["b"]["done"], by_name["b"]["cells"]) == (5, 12)
    assert by_name["a"]["policies"] == ["p", "q"] and by_name["a"]["suites"] == "toy"
    assert "is not a usable store" in by_name["broken"]["problem"]
    ended = wambench("runs", "--in", tmp_path / "runs")
    assert ended.code == 0 and "cannot read" in ended.out and "deep/b" in ended.out

    shown = json.loads(wambench("runs", "show", half, "--json").out)
    counts = {row["policy"]: row for row in shown["outcomes"]}
    assert counts["p"]["missing"] + counts["q"]["missing"] == 7
    assert shown["invocations"][0]["command"] == "a test"
    text = wambench("runs", "show", half).out
    assert "5 of 12 cells, protocol wambench-1" in text and "engine: episode_version 1" in text


def test_nothing_to_list_is_said(tmp_path: Path, wambench: CommandLine) -> None:
    ended = wambench("runs", "--in", tmp_path / "none")
    assert ended.code == 2 and "no folder" in ended.err
    assert "no run directories" in wambench("runs", "--in", tmp_path).out
    ended = wambench("runs", "show", tmp_path)
    assert ended.code == 2 and "is not a run directory" in ended.err
