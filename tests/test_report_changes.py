"""A run against an earlier one: what changed, and conditions that forbid the comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.report import strips
from tests.conftest import CommandLine
from tests.test_report import Page, good_passport, write_run


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "draw", lambda store, chosen, rules: ([], ["not drawn"]))


def test_cells_that_ended_otherwise_are_listed(tmp_path: Path, wambench: CommandLine) -> None:
    then = write_run(tmp_path / "then", {"p": "ssssffff", "gone": "ssss"})
    now = write_run(tmp_path / "now", {"p": "ssssfssf", "new": "ssss"})
    ended = wambench("report", now, "--compare", then)
    assert ended.code == 0, ended.err
    page = Page(now / "report.html")
    assert "6 cells ended alike, 2 otherwise; 4 are new here, 4 are not" in " ".join(
        page.text.split()
    )
    (row,) = page.table("Each policy now against itself then")[1:]
    assert row[:4] == ["p", "8", "2", "0"] and row[-1].startswith("undecided")
    moved = page.table("Cells that ended otherwise")[1:]
    assert [(then, now) for _, then, now in moved] == [("failure", "success")] * 2
    assert f"--compare {then}" in page.text


def test_other_conditions_must_be_allowed_and_leave_a_footnote(
    tmp_path: Path, wambench: CommandLine
) -> None:
    passport = good_passport()
    other = passport.model_copy(update={"fingerprint": {"engine": {"episode_version": 0}}})
    then = write_run(tmp_path / "then", {"p": "ssss"}, other)
    now = write_run(tmp_path / "now", {"p": "ssss"}, passport)
    refused = wambench("report", now, "--compare", then)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert "--allow-mismatch engine.episode_version" in refused.err
    allowed = wambench(
        "report", now, "--compare", then, "--allow-mismatch", "engine.episode_version"
    )
    assert allowed.code == 0
    text = Page(now / "report.html").text
    assert "not made under the same conditions" in text and "engine.episode_version: 1" in text


def test_a_run_that_is_none_is_refused(tmp_path: Path, wambench: CommandLine) -> None:
    now = write_run(tmp_path / "now", {"p": "ssss"})
    ended = wambench("report", now, "--compare", tmp_path / "nowhere")
    assert ended.code == 2 and "is not a run directory" in ended.err
