"""Pairs out of stored cells, and ``wambench plan``: episodes and hours that a question takes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from analysis.pairing import Asked, LeftOut, by_policy, common, compare, left_out, rank
from analysis.planning.questions import TASKS
from analysis.statistics import discordance, episodes_paired, episodes_unpaired
from tests.conftest import CommandLine
from tests.records import SPEC, grid, make_passport, make_record
from wambench.cells import Cell, PolicyChoice
from wambench.episode import Outcome
from wambench.store import Store, StoredCell

LETTERS: dict[str, Outcome] = {"s": "success", "f": "failure", "e": "policy_error"}


def write_run(folder: Path, outcomes: dict[str, str], *, tasks: int) -> Path:
    """A run with a letter for each cell of each policy, task after task; "." is missing."""
    each = len(next(iter(outcomes.values()))) // tasks
    with Store.write(folder, "made up") as store:
        store.set_passport(make_passport())
        for policy, letters in outcomes.items():
            planned: list[Cell] = grid(policy, tasks, each)
            store.add_plan(planned, [PolicyChoice(policy, policy)], {policy: SPEC})
            for cell, letter in zip(planned, letters, strict=True):
                if letter in LETTERS:
                    store.add_episode(make_record(cell, outcome=LETTERS[letter]))
    return folder


def cells_of(run: Path) -> Sequence[StoredCell]:
    with Store.read(run) as store:
        return store.cells()


def pairs_of(asked: Asked) -> list[list[list[list[bool]]]]:
    return [[task.tolist() for task in suite] for suite in common(asked["a"], asked["b"])]


# ------------------------------------------------------------------ pairs


def test_pairs_are_the_cells_that_both_finished_and_the_rest_is_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": "ssf.", "b": "sf.."}, tasks=2)
    write_run(tmp_path / "more", {"b": "sf..s."}, tasks=3)
    asked = by_policy(cells_of(run))
    assert pairs_of(asked) == [[[[True, True], [True, False]]]]
    assert left_out(asked["a"], asked["b"]) == LeftOut(0, 0, 0, 1, 1)
    more = by_policy(
        [*cells_of(tmp_path / "more"), *(a for a in cells_of(run) if a.cell.policy == "a")]
    )
    found = left_out(more["a"], more["b"])
    assert (found.first_alone, found.second_alone, found.both_missing) == (0, 2, 1)
    assert found.total + 2 == 6, "every cell that one of them was asked for is somewhere"


def test_a_policy_error_is_no_success(tmp_path: Path) -> None:
    asked = by_policy(cells_of(write_run(tmp_path / "run", {"a": "se", "b": "ss"}, tasks=1)))
    assert pairs_of(asked) == [[[[True, True], [False, True]]]]


def test_comparisons_are_judged_together(tmp_path: Path) -> None:
    outcomes = {"a": "s" * 36, "b": "f" * 36, "c": "s" * 36}
    asked = by_policy(cells_of(write_run(tmp_path / "run", outcomes, tasks=9)))
    found = {(one.first, one.second): one for one in compare(asked)}
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "c")}
    kinds = [one.verdict.kind for one in found.values()]
    assert kinds == ["better", "undecided", "worse"]
    best = found["a", "b"]
    assert best.verdict.p_difference == pytest.approx(3 * best.found.p_value)
    alone = compare(asked, [("b", "a")])
    assert [one.verdict.kind for one in alone] == ["worse"]
    assert compare(asked, [("a", "c")], margin=0.2)[0].verdict.text == "equivalent within 20 points"


def test_ranks_take_the_tasks_that_all_finished(tmp_path: Path) -> None:
    outcomes = {"a": "ssssss", "b": "sfsfsf", "c": "ffff.."}
    asked = by_policy(cells_of(write_run(tmp_path / "run", outcomes, tasks=3)))
    found = rank(asked)
    assert found is not None and found.tasks == 2
    assert found.mean_ranks == {"a": 1, "b": 2, "c": 3}
    assert rank(asked[["a", "b"]]) is None and rank(by_policy([])) is None


# ------------------------------------------------------------------ the command


def test_plan_says_what_the_statistics_say(wambench: CommandLine) -> None:
    ended = wambench("plan", "--baseline", "0.95", "--delta", "0.03", "--json")
    assert ended.code == 0
    found = json.loads(ended.out)
    first, *same = found["designs"]
    assert (first["design"], first["episodes"]) == (
        "different episodes", episodes_unpaired(0.95, 0.98),
    )  # fmt: skip
    assert [design["correlation"] for design in same] == [0.0, 0.25, 0.5], "0.75 cannot be"
    for design in same:
        share = discordance(0.95, 0.98, design["correlation"])
        assert design["discordant"] == pytest.approx(share)
        assert design["episodes"] == episodes_paired(0.03, share, tasks=TASKS)
    table = wambench("plan", "--baseline", "0.95", "--delta", "0.03").out
    assert all(str(design["episodes"]) in table for design in found["designs"])


def test_plan_takes_what_is_given(wambench: CommandLine) -> None:
    def episodes(*options: str) -> int:
        ended = wambench(
            "plan", "--baseline", "0.9", "--delta", "-0.05", "--paired-correlation", "0.3",
            "--json", *options,
        )  # fmt: skip
        assert ended.code == 0, ended.err
        return int(json.loads(ended.out)["designs"][-1]["episodes"])

    plain = episodes()
    for option in ("--power=0.9", "--confidence=0.99", "--comparisons=6", "--tasks=9"):
        assert episodes(option) > plain
    assert episodes("--task-spread=0.05") > plain


def test_plan_reads_pace_and_correlations_of_a_run(tmp_path: Path, wambench: CommandLine) -> None:
    outcomes = {"a": "ssffsssf", "b": "ssffssff", "c": "ssssssss"}
    run = write_run(tmp_path / "run", outcomes, tasks=2)
    ended = wambench(
        "plan", "--baseline", "0.5", "--delta", "0.1", "--run", run, "--workers", "3", "--json"
    )
    assert ended.code == 0
    found = json.loads(ended.out)
    first, second = ([letter == "s" for letter in outcomes[label]] for label in "ab")
    covariance = sum(a and b for a, b in zip(first, second, strict=True)) / 8 - 5 / 8 * 4 / 8
    expected = covariance / (5 / 8 * 3 / 8 * 4 / 8 * 4 / 8) ** 0.5
    measured = found["designs"][1]
    assert measured["design"] == "same cells, as a and b" and len(found["designs"]) == 2
    assert measured["correlation"] == pytest.approx(expected)
    with Store.read(run) as store:
        spent = [cell.seconds["total"] for cell in store.cells() if cell.cell.policy == "a"]
    pace = sum(spent) / len(spent)
    assert found["seconds_an_episode"]["a"] == pytest.approx(pace)
    assert found["hours"]["a"][1] == pytest.approx(pace * measured["episodes"] / 3600 / 3)
    assert found["workers"] == 3 and set(found["hours"]) == set("abc")
    table = wambench("plan", "--baseline", "0.5", "--delta", "0.1", "--run", run).out
    assert f"{len(os.sched_getaffinity(0))} workers" in table


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--baseline", "95", "--delta", "0.03"], ("--baseline 95", "0.95")),
        (["--baseline", "0.95", "--delta", "0"], ("--delta 0",)),
        (["--baseline", "0.95", "--delta", "0.06"], ("1.01", "between 0 and 1")),
        (["--baseline", "0.95", "--delta", "0.03", "--power", "80"], ("--power 80", "0.8")),
        (["--baseline", "0.95", "--delta", "0.03", "--confidence", "1"], ("--confidence 1",)),
        (
            ["--baseline", "0.95", "--delta", "0.03", "--paired-correlation", "0.9"],
            ("--paired-correlation 0.9", "0.623"),
        ),
        (
            ["--baseline", "0.95", "--delta", "0.03", "--task-spread", "0.1", "--tasks", "9"],
            ("--tasks 9", "take more tasks"),
        ),
        (["--baseline", "0.95", "--delta", "0.03", "--run", "nowhere"], ("nowhere",)),
    ],
)
def test_questions_without_an_answer_are_refused(
    options: list[str], words: tuple[str, ...], wambench: CommandLine
) -> None:
    ended = wambench("plan", *options)
    assert ended.code == 2 and ended.out == ""
    (line,) = ended.err.splitlines()
    assert all(word in line for word in words)


def test_a_run_without_an_episode_has_no_pace(tmp_path: Path, wambench: CommandLine) -> None:
    run = write_run(tmp_path / "run", {"a": ".."}, tasks=1)
    ended = wambench("plan", "--baseline", "0.9", "--delta", "0.05", "--run", run)
    assert ended.code == 2 and "no finished episode" in ended.err
