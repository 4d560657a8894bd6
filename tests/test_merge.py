"""Merging runs: the union of what is known, or a refusal that names the conflict."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.records import grid, make_cell, make_passport, make_record, make_run, plan_and_add
from wambench.errors import UserError
from wambench.store import Store, StoredCell, merge_runs
from wambench.sweepfile import plan, read

CELLS = grid(tasks=3)
SHARDS = [CELLS[:6], CELLS[6:12], CELLS[12:]]


def contents(run: Path) -> list[StoredCell]:
    with Store.read(run) as store:
        return list(store.cells())


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return [make_run(tmp_path / f"shard{i}", part) for i, part in enumerate(SHARDS)]


def test_union_equals_one_run_in_any_order(tmp_path: Path, shards: list[Path]) -> None:
    whole = contents(make_run(tmp_path / "whole", CELLS))
    for number, order in enumerate(itertools.permutations(shards)):
        target = tmp_path / f"all{number}"
        assert merge_runs(order, target) == len(CELLS)
        assert contents(target) == whole
        with Store.read(target) as store:
            assert store.trace(CELLS[0].key).pack() == make_record(CELLS[0]).trace.pack()
            assert set(store.policies()) == {"p", "q"} and store.passport() == make_passport()


def test_merging_again_changes_nothing(tmp_path: Path, shards: list[Path]) -> None:
    with Store.write(shards[0]) as store:
        store.add_attempt(CELLS[0], "crash", "gone", "")
    merge_runs(shards, tmp_path / "all")
    before = contents(tmp_path / "all")
    assert merge_runs(shards, tmp_path / "all") == 0
    assert merge_runs([tmp_path / "all", *shards], tmp_path / "all") == 0
    assert contents(tmp_path / "all") == before
    assert before[0].infrastructure_failures == 1, "counted once"


def test_of_some_cells_only_those_and_their_policies_are_copied(
    tmp_path: Path, shards: list[Path]
) -> None:
    wanted = [cell for cell in CELLS if cell.policy == "p"][1:5]
    with Store.write(shards[0]) as store:
        for cell in (CELLS[0], wanted[0]):
            store.add_attempt(cell, "crash", "gone", "")
    keys = [*(cell.key for cell in wanted), "a cell that no run knows"]
    assert merge_runs(shards, tmp_path / "some", keys=keys) == len(wanted)
    assert [known.cell for known in contents(tmp_path / "some")] == wanted
    with Store.read(tmp_path / "some") as store:
        assert set(store.policies()) == {"p"}
        assert [attempt["cell_key"] for attempt in store.attempts()] == [wanted[0].key]


@pytest.mark.usefixtures("toy")
def test_a_sweep_file_chooses_what_is_copied(work: Path, wambench: CommandLine) -> None:
    for name, policies in (("large", "[random, frozen]"), ("small", "[random]")):
        states = "0-3" if name == "large" else "1-2"
        (work / f"{name}.yaml").write_text(
            f"policies: {policies}\nsuites: {{toy: 0}}\ninit_states: {states}\n"
        )
    make_run(work / "run", plan(read(work / "large.yaml")).cells)
    ended = wambench("merge", "run", "--of", "small.yaml", "--out", "some")
    assert ended.code == 0 and "2 episodes added" in ended.out, ended.err
    wanted = [cell.key for cell in plan(read(work / "small.yaml")).cells]
    assert [known.cell.key for known in contents(work / "some")] == wanted
    some = wambench("merge", "run", "--of", "small.yaml", "--out", "again", "--json")
    assert json.loads(some.out)["left_out"] == ""
    changed = "{name: random, options: {}}, {name: noisy-expert, label: frozen}"
    (work / "changed.yaml").write_text(
        f"policies: [{changed}]\nsuites: {{toy: 0}}\ninit_states: 1-4\n"
    )
    partly = wambench("merge", "run", "--of", "changed.yaml", "--out", "partly")
    assert partly.code == 0 and "3 episodes added" in partly.out, partly.err
    said = "3 of 8 cells of the sweep file are in these runs, 3 more under other conditions: "
    assert said in partly.out
    (work / "other.yaml").write_text(
        "policies: [random]\nsuites: {toy: 0}\ninit_states: 1-2\n"
        "protocol_changes: {max_steps: {toy: 7}}\n"
    )
    nothing = wambench("merge", "run", "--of", "other.yaml", "--out", "other")
    assert nothing.code == 2 and "nothing to merge: 0 of 2" in nothing.err
    assert "protocol.name: 'wambench-1' against" in nothing.err
    missing = wambench("merge", "run", "--of", "none.yaml", "--out", "other")
    assert missing.code == 2 and "none.yaml" in missing.err and not (work / "other").exists()


def test_target_may_be_a_source_and_sources_stay_as_they_are(shards: list[Path]) -> None:
    before = [contents(run) for run in shards[1:]]
    assert merge_runs(shards, shards[0]) == 12
    assert len(contents(shards[0])) == 18
    assert [contents(run) for run in shards[1:]] == before


def test_unfinished_cells_are_filled_and_stay_unfinished_otherwise(tmp_path: Path) -> None:
    half = make_run(tmp_path / "half", CELLS, CELLS[:4])
    rest = make_run(tmp_path / "rest", CELLS, CELLS[2:9])
    assert merge_runs([half, rest], tmp_path / "all") == 9
    unknown = {stored.cell.key for stored in contents(tmp_path / "all") if not stored.outcome}
    assert unknown == {cell.key for cell in CELLS[9:]}


def test_same_cell_that_ended_otherwise_is_refused(tmp_path: Path) -> None:
    ours = make_run(tmp_path / "ours", CELLS[:1])
    with Store.write(tmp_path / "theirs") as store:
        store.set_passport(make_passport())
        plan_and_add(store, CELLS[:1], [])
        store.add_episode(make_record(CELLS[0], outcome="policy_error", fault="x"))
    with pytest.raises(UserError) as refused:
        merge_runs([ours, tmp_path / "theirs"], tmp_path / "all")
    text = str(refused.value)
    assert CELLS[0].describe() in text and "policy_error" in text
    assert str(ours) in text and str(tmp_path / "theirs") in text
    assert not (tmp_path / "all").exists()


OTHER = {"pixels:toy": {"frames": "bbb"}, "policy:p": {"source": "s"}}


@pytest.mark.parametrize("allowed", ["pixels:toy", "pixels:toy.frames"])
def test_other_conditions_are_refused_until_allowed(
    tmp_path: Path, wambench: CommandLine, allowed: str
) -> None:
    ours = make_run(tmp_path / "a", SHARDS[0], **{"pixels:toy": {"frames": "aaa"}})
    theirs = make_run(tmp_path / "b", SHARDS[1], **OTHER)
    command = ("merge", ours, theirs, "--out", tmp_path / "all")
    for wrong in ((), ("--allow-mismatch", "pixels:to"), ("--allow-mismatch", "policy:p")):
        ended = wambench(*command, *wrong)
        assert ended.code == 2 and ended.err.count("\n") == 1
        assert "pixels:toy.frames: 'aaa' against 'bbb'" in ended.err
        assert "--allow-mismatch pixels:toy.frames" in ended.err
        assert not (tmp_path / "all").exists()
    ended = wambench(*command, "--allow-mismatch", allowed)
    assert (ended.code, ended.err) == (0, "")
    assert len(contents(tmp_path / "all")) == 12


def test_under_an_allowed_mismatch_a_name_counts_once(tmp_path: Path) -> None:
    """Two physics engines give one cell two keys; tables must not count it twice."""
    old, new = (make_cell(made_by=engine) for engine in ("3.2", "3.3"))
    a = make_run(tmp_path / "a", [old], **{"suite:toy": {"engine": "3.2"}})
    b = make_run(tmp_path / "b", [new], **{"suite:toy": {"engine": "3.3"}})
    for _ in range(2):
        merge_runs([a, b], tmp_path / "all", allow_mismatch=["suite:toy"])
        assert [stored.cell for stored in contents(tmp_path / "all")] == [old]


def test_run_that_never_got_past_its_start_is_refused(tmp_path: Path) -> None:
    with Store.write(tmp_path / "run"):
        pass
    with pytest.raises(UserError, match="no passport"):
        merge_runs([tmp_path / "run"], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_what_policies_measured_of_their_looks_comes_along(tmp_path: Path) -> None:
    """From a run of before there was such a table, too."""
    measured = {"wire_round_trip_ms": [1.5, 2.5], "wire_claimed_ms": [float("nan"), 1.0]}
    old, new = make_run(tmp_path / "old", SHARDS[0]), make_run(tmp_path / "new", SHARDS[1], [])
    with Store.write(old) as store:
        store.connection.execute("DROP TABLE measurements")
    with Store.read(old) as store:
        assert store.measurements("wire_") == {}
    cell = SHARDS[1][0]
    with Store.write(new) as store:
        store.add_episode(replace(make_record(cell), measured=measured))
    assert merge_runs([old, new], tmp_path / "all") == len(SHARDS[0]) + 1
    with Store.read(tmp_path / "all") as store:
        assert list(store.measurements("wire_")) == [cell.key]
        found = store.measurements("wire_")[cell.key]
        assert found["wire_round_trip_ms"] == [1.5, 2.5] and found["wire_claimed_ms"][1] == 1.0
        assert store.measurements("other") == {}
