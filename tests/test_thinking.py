"""The report of runs under a paying clock: its numbers are the store's, its page is a page."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.report import data
from analysis.report.tables import Tables
from analysis.report.thinking import Thinking, representatives
from analysis.report.thinking.layout import latency_words, layout, lost_words
from tests import latency_run, whole_run
from tests.conftest import CommandLine
from tests.pages import faults
from tests.test_report import Page, write_run
from wambench.cells import PolicyChoice
from wambench.clock import Timing
from wambench.store import Store, episodes_frame
from wambench.suite import Suite

TASKS = latency_run.TASKS
CELLS = len(TASKS) * latency_run.STATES


@pytest.fixture
def run(tmp_path: Path, toy: Suite) -> Path:
    return latency_run.make(tmp_path / "run")


def read(run: Path) -> Tables:
    with Store.read(run) as store:
        return data.collect(store)


def told(run: Path) -> Thinking:
    found = read(run).thinking
    assert found is not None
    return found


def successes(run: Path) -> Mapping[str, int]:
    with Store.read(run) as store:
        frame = episodes_frame(store)
    return dict((frame["outcome"] == "success").groupby(frame["policy"]).sum())


def test_every_arm_has_the_numbers_of_the_store(run: Path) -> None:
    found, won = told(run), successes(run)
    assert {arm.label: arm.score.successes for arm in found.arms} == won
    assert all(arm.score.episodes == CELLS for arm in found.arms)
    with Store.read(run) as store:
        kept = store.measurements("clock/")
        own = [c for c in store.cells() if c.cell.policy == "slow 300ms hold"]
    arm = next(arm for arm in found.arms if arm.label == "slow 300ms hold")
    steps = sum(c.steps or 0 for c in own)
    looks = sum(len(kept[c.cell.key]["clock/asked_step"]) for c in own)
    held = sum(kept[c.cell.key]["clock/held_steps"][0] for c in own)
    assert arm.decisions == looks == sum(c.looks for c in own)
    assert arm.held == pytest.approx(held / steps) and arm.stale == 0
    assert arm.decisions_per_s == pytest.approx(looks / (steps / latency_run.HZ))
    assert (arm.charged_steps, arm.charged_ms) == (3, pytest.approx(300))
    waited = sum(
        min(3, (c.steps or 0) - int(step))
        for c in own
        for step in kept[c.cell.key]["clock/asked_step"]
    )
    assert arm.waiting == pytest.approx(waited / steps)


def test_curves_start_at_0_ms_and_have_constant_latencies_alone(run: Path) -> None:
    found, won = told(run), successes(run)
    assert [(one.policy, one.rule) for one in found.curves] == [
        (policy, rule) for policy in latency_run.POLICIES for rule in latency_run.RULES
    ]
    for one in found.curves:
        assert [point.latency_ms for point in one.points] == list(latency_run.LATENCIES_MS)
        assert [point.score.successes for point in one.points] == [won[p.label] for p in one.points]
    lost = {(one.policy, one.rule): one.lost for one in found.curves}
    slow, quick = lost["slow", "hold"], lost["quick", "hold"]
    assert slow and slow.latency_ms is not None and slow.latency_ms < 300
    assert quick and quick.latency_ms is None and lost_words(quick)[0] == "> 800"
    assert lost_words(None) == ("–", "")


def test_a_cell_that_one_latency_lacks_is_in_no_curve(tmp_path: Path, toy: Suite) -> None:
    run = latency_run.make(tmp_path / "run", {"slow": 0.1})
    with Store.write(run) as store:
        (key,) = (c.cell.key for c in store.cells() if c.cell.place[0] == "slow 800ms hold"
                  and c.cell.task_index == 0 and c.cell.init_state == 0)  # fmt: skip
        with store.connection:
            store.connection.execute("DELETE FROM measurements WHERE cell_key = ?", (key,))
            store.connection.execute("DELETE FROM episodes WHERE cell_key = ?", (key,))
    hold, overlap = told(run).curves
    assert {point.score.episodes for point in hold.points} == {CELLS - 1}
    assert {point.score.episodes for point in overlap.points} == {CELLS}


def test_rules_are_held_against_each_other_at_one_latency(run: Path) -> None:
    found, won = told(run), successes(run)
    assert len(found.rules) == len(latency_run.POLICIES) * 3
    for row in found.rules:
        assert (row.first, row.second) == ("hold", "overlap")
        gap = (won[row.found.first] - won[row.found.second]) / CELLS
        assert row.found.found.difference == pytest.approx(gap)
        assert row.found.verdict.p_difference >= row.found.found.p_value


def test_a_rule_that_hides_latency_is_found_better(tmp_path: Path, toy: Suite) -> None:
    tasks = [f"task {number}" for number in range(10)]
    slow = told(latency_run.make(tmp_path / "run", {"slow": 0.1}, tasks=tasks)).rules
    words = {row.latency_ms: row.found.verdict.kind for row in slow}
    assert words[800] == "worse" and words[100] == "undecided"


def test_kinds_of_latency_never_share_a_table(run: Path) -> None:
    found, won = told(run), successes(run)
    assert [(one.source, one.where) for one in found.costs] == [
        ("claimed", "Table 5"), ("measured", "H100, eager"), ("predicted", "H100, graph"),
    ]  # fmt: skip
    for table in found.costs:
        ms = latency_run.OWN[table.source].typical_ms
        for row in table.rows:
            assert row.latency_ms == ms
            assert row.own.successes == won[f"{row.policy} {ms:g}ms {table.source} hold"]
            assert row.free.successes == won[f"{row.policy} 0ms"]
        by_success = sorted(table.rows, key=lambda row: -row.own.successes)
        assert [row.own.successes for row in table.rows] == [r.own.successes for r in by_success]
        assert table.rows[0].rank_own == 1
        order = {row.policy: row for row in table.rows}
        for one, other in table.swapped:
            free = order[one].free.successes - order[other].free.successes
            assert free * (order[one].own.successes - order[other].own.successes) < 0


def test_sections_of_policies_show_one_arm_of_each(run: Path) -> None:
    tables = read(run)
    shown = {f"{policy} 0ms" for policy in latency_run.POLICIES}
    assert {row.policy for row in tables.policies} == shown
    assert {row.policy for row in (*tables.by_suite, *tables.by_task, *tables.effort)} == shown
    assert {label for one in tables.comparisons for label in (one.first, one.second)} == shown
    assert tables.ranks is not None and set(tables.ranks.mean_ranks) == shown
    assert not tables.variants and len(tables.comparisons) == 3
    first, second = tables.notices[-2:]
    assert first.startswith("The world went on while policies decided: 33 arms of 3 policies")
    assert second.startswith("Unrepeatable: quick wall hold, slow wall hold, third <&> wall hold.")


def test_what_stands_for_a_policy_is_charged_least() -> None:
    timings = list(latency_run.timings("p"))
    made = {latency_run.label_of(one): one for one in timings}

    def chosen(timed: Mapping[str, Timing]) -> Any:
        choices = {label: PolicyChoice(label, "p", {}, one) for label, one in timed.items()}
        choices["plain"] = PolicyChoice("plain", "plain")
        return representatives(choices, list(choices))

    assert chosen(made) == ["p 0ms", "plain"]
    del made["p 0ms"]
    assert chosen(made) == ["p 100ms hold", "plain"]
    assert chosen({"p wall hold": made["p wall hold"]}) == ["p wall hold", "plain"]


def test_columns_are_constant_latencies(run: Path) -> None:
    found = layout(told(run))
    assert found.latencies_ms == list(latency_run.LATENCIES_MS)
    assert list(found.arms["slow", "hold"]) == list(latency_run.LATENCIES_MS)
    assert {arm.source for arm in found.others} == {
        "claimed", "measured", "predicted", "wall clock",
    }  # fmt: skip
    assert latency_words(None, "wall clock") == "wall clock"
    assert latency_words(263.0, "claimed") == "263 ms, claimed"


def test_the_page_the_tables_and_the_summary_say_it(
    run: Path, wambench: CommandLine, tmp_path: Path
) -> None:
    ended = wambench("report", run, "--tables", tmp_path / "tables")
    assert ended.code == 0, ended.err
    assert "unrepeatable" in ended.out and "5 points lost at, ms" in ended.out
    page = Page(run / "report.html")
    assert faults((run / "report.html").read_text()) == []
    (caption,) = (name for name in page.tables if name.startswith("Success by latency"))
    rows = page.tables[caption]
    assert len(rows) == 1 + len(latency_run.POLICIES) * len(latency_run.RULES)
    won = successes(run)
    slow = next(row for row in rows if row[:2] == ["slow", "hold"])
    assert slow[4].startswith(f"{100 * won['slow 300ms hold'] / CELLS:.1f} %")
    assert any(name.startswith("At own cost, claimed: Table 5, rule hold") for name in page.tables)
    assert "third <&> wall hold" not in {row[0] for row in page.tables[caption]}
    with (tmp_path / "tables" / "thinking.csv").open() as file:
        arms = list(csv.DictReader(file))
    assert {row["policy"] for row in arms} == set(latency_run.POLICIES) and len(arms) == 33
    assert {row["source"] for row in arms} >= {"constant", "wall clock", "claimed"}
    assert "thinking_rules" in (tmp_path / "tables" / "report.tex").read_text()
    for name in ("thinking_lost", "thinking_rules", "thinking_costs"):
        assert (tmp_path / "tables" / f"{name}.csv").is_file()
    as_json = json.loads(wambench("report", run, "--json").out)
    assert len(as_json["thinking"]["arms"]) == 33


def test_the_page_of_one_arm_says_what_there_is(
    tmp_path: Path, toy: Suite, wambench: CommandLine
) -> None:
    for name, only in (("free", ["slow 0ms"]), ("wall", ["slow wall hold"]), ("late", [
        "slow 300ms claimed hold", "slow 100ms overlap"])):  # fmt: skip
        run = latency_run.make(tmp_path / name, {"slow": 0.1}, only)
        ended = wambench("report", run)
        assert ended.code == 0, ended.err
        assert faults((run / "report.html").read_text()) == []
        assert "What thinking costs" in Page(run / "report.html").text


def test_a_world_that_waits_has_no_such_section(
    tmp_path: Path, toy: Suite, wambench: CommandLine
) -> None:
    run = write_run(tmp_path / "run", {"good": "ssssssssssss"})
    assert read(run).thinking is None
    assert wambench("report", run).code == 0
    assert "thinking" not in re.sub("<style>.*</style>", "", (run / "report.html").read_text())


def test_a_study_of_the_policies_is_one_of_their_arms(
    tmp_path: Path, toy: Suite, wambench: CommandLine
) -> None:
    run = latency_run.make(tmp_path / "run", {"learned": 0.1, "second": 0.0})
    study = whole_run.make_study(tmp_path / "study")
    ended = wambench("report", run, "--attention", study)
    assert ended.code == 0, ended.err
    assert "Not policies of this run" not in Page(run / "report.html").text
