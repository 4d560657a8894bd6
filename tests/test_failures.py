"""The failure microscope: made-up courses for its borders, staged failures for the whole of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.failures import DEFINITIONS, Thresholds, explain
from analysis.failures.course import runs, turning_points
from baselines.scripted.staged import KINDS
from tests.conftest import CommandLine, Refused
from tests.records import grid, make_cell, make_record, make_run, plan_and_add
from wambench.facts import Facts, Goal
from wambench.passport import Passport
from wambench.protocols import protocols
from wambench.store import Store
from wambench.suite import Suite

HZ = 20.0
CUP, PLATE, TIN = "cup", "plate", "tin"
PLACE = np.array([0.3, 0.0, 0.0])


def moment(
    hand: Sequence[float] = (0.0, 0.0, 0.5),
    cup: Sequence[float] = (0.0, 0.0, 0.0),
    *,
    grip: str = "",
    opening: float = 0.08,
    tin: Sequence[float] = (0.0, 0.4, 0.0),
    touches: Sequence[tuple[str, str]] = (),
) -> Facts:
    """A cup belongs on a plate at ``PLACE``; a tin stands by. ``grip``: what is in the fingers."""
    at = {CUP: np.array(cup), TIN: np.array(tin), PLATE: PLACE}
    pairs = {(a, b) if a < b else (b, a) for a, b in touches}
    for name, position in at.items():
        if position[2] < 0.01 and name != PLATE:
            on_plate = name == CUP and np.linalg.norm(position - PLACE) < 0.1
            pairs.add((CUP, PLATE) if on_plate else ("scene", name))
    if grip:
        pairs.add(("fingers", grip) if grip > "fingers" else (grip, "fingers"))
    gap = max(float(np.linalg.norm(at[CUP] - PLACE)) - 0.03, 0.0)
    holds = gap == 0 and (CUP, PLATE) in pairs
    distance = float(np.linalg.norm(at[CUP] - np.array(hand)))
    goal = Goal("on cup plate", CUP, PLATE, holds, gap, distance)
    return Facts(np.array(hand), opening, at, frozenset(pairs), (goal,))


def lifted(cup: Sequence[float], steps: int = 10) -> list[Facts]:
    """The hand comes down, closes on the cup and carries it to ``cup``."""
    down = [moment((0, 0, 0.5 - 0.05 * k)) for k in range(11)]
    closed = [moment((0, 0, 0), grip=CUP, opening=0.03)] * 4
    way = [np.array(cup) * k / steps for k in range(1, steps + 1)]
    return [*down, *closed, *(moment(at, at, grip=CUP, opening=0.03) for at in way)]


def rest(cup: Sequence[float], steps: int = 60) -> list[Facts]:
    """The hand is up and away, the cup where it is."""
    return [moment((*cup[:2], 0.3), cup)] * steps


def test_borders_of_what_ends_a_hold() -> None:
    limits = Thresholds()
    for height, label in (
        (limits.fall_m - 0.005, "wrong place"),
        (limits.fall_m + 0.005, "dropped"),
    ):
        course = [*lifted((0.1, 0, 0.2)), *lifted((0.1, 0, height))[-1:] * 6, *rest((0.1, 0, 0.0))]
        found = explain(course, HZ)
        assert (found.label, found.step) == (label, 30), found
    beside = [*lifted((0.34, 0, 0.2)), *lifted((0.34, 0, 0.0))[-1:] * 6, *rest((0.34, 0, 0.0))]
    found = explain(beside, HZ)
    assert found.label == "placed but goal not met" and "touching plate" in found.evidence
    for lacking, label in ((-0.005, "near miss at timeout"), (0.005, "other")):
        at = (0.3, 0.0, limits.near_m + 0.03 + lacking)
        found = explain([*lifted(at), *lifted(at)[-1:] * 60], HZ)
        assert found.label == label, found


def test_a_goal_that_was_reached_and_lost() -> None:
    course = [*lifted((0.3, 0, 0.1)), *rest((0.3, 0, 0.0), 40), *rest((0.5, 0, 0.0))]
    found = explain(course, HZ)
    assert found.label == "placed but goal not met" and "not after step 64" in found.evidence


def test_the_first_mishap_counts_where_nothing_was_lifted() -> None:
    shake = [moment((0, 0.02 * (-1) ** (t // 4) * (t % 4), 0.5)) for t in range(100)]
    fist = [moment((0, 0.2, 0.5), opening=0.0)] * 25
    fist += [moment((0, 0.4, 0.02), grip=TIN, opening=0.0)] * 12
    grasp = [moment((0, 0.4, 0.02), grip=TIN, opening=0.08 - 0.01 * min(t, 5)) for t in range(30)]
    miss = [moment((0, 0, 0.03), opening=0.08 - 0.01 * min(t, 7)) for t in range(30)]
    away = [moment((0, 0, 0.5))] * 5
    cases: list[tuple[str, list[Facts]]] = [
        ("never approached", away * 10),
        ("missed grasp", [*away, *[moment((0, 0, 0.03))] * 10]),  # came and never closed
        ("missed grasp", [*away, *miss, *fist, *shake]),
        ("collision", [*away, *fist, *miss]),
        ("collision", [*away, moment((0, 0.4, 0), grip=TIN), *[moment(tin=(0, 0.5, 0))] * 9]),
        ("wrong object", [*away, *grasp, *miss]),
        ("oscillation", [*away, *shake]),
    ]
    for label, course in cases:
        assert explain(course, HZ).label == label
    thrown = [moment(tin=(0, 0.5, 0))] * 20  # it moved, and the robot did not touch it
    assert explain([*away, *thrown], HZ).label == "never approached"


def test_runs_and_turning_points() -> None:
    flags = np.array([0, 1, 1, 0, 1, 0, 0, 1], bool)
    assert runs(flags) == [(1, 2), (4, 4), (7, 7)]
    assert runs(flags, join=1) == [(1, 4), (7, 7)]
    wave = np.sin(np.arange(80) * 2 * np.pi / 20)
    assert turning_points(wave, 0.5) == [5, 15, 25, 35, 45, 55, 65, 75]
    assert turning_points(0.2 * wave, 0.5) == []
    assert turning_points(np.linspace(0, 9, 50), 0.1) == []


# -- staged -------------------------------------------------------------------------------------


Staged = Callable[[Sequence[str], Mapping[str, Sequence[int]], str | int, int], list[dict]]


@pytest.fixture
def staged(tmp_path: Path, swept: CommandLine, wambench: CommandLine) -> Staged:
    """Sweep staged failures; returns what ``wambench failures`` says of each."""

    def run(
        kinds: Sequence[str],
        suites: Mapping[str, Sequence[int]],
        init_states: str | int,
        steps: int,
    ) -> list[dict]:
        content = {
            "policies": [
                {"name": "staged-failure", "label": kind, "options": {"kind": kind}}
                for kind in kinds
            ],
            "suites": {name: list(tasks) for name, tasks in suites.items()},
            "init_states": init_states,
            "protocol_changes": {
                "rendering": "lean", "max_steps": dict.fromkeys(suites, steps),
            },
        }  # fmt: skip
        options = ("--workers", 2, "--attempts", 1)
        ended = swept(tmp_path / "staged.yaml", content, tmp_path / "run", *options)
        lost = "error: 1 cells failed by infrastructure" if "infrastructure" in kinds else ""
        assert ended.code == (2 if lost else 0) and lost in ended.err, ended.err
        table = wambench("failures", tmp_path / "run")
        assert table.code == 0, table.err
        assert table.out.split("\n")[0].split() == ["failure", *kinds]
        found = json.loads((tmp_path / "run" / "failures.json").read_text())
        assert found["problems"] == [] and found["definitions"] == dict(DEFINITIONS)
        for kind, row in found["policies"].items():
            assert sum(row.values()) == sum(one["policy"] == kind for one in found["episodes"])
        return found["episodes"]

    return run


def right(episode: dict) -> bool:
    return episode["label"] == episode["policy"].replace("-", " ")


def test_every_label_is_staged() -> None:
    assert {kind.replace("-", " ") for kind in KINDS} == set(DEFINITIONS) - {"other"}


def test_some_staged_failures_are_labelled_right(staged: Staged) -> None:
    kinds = ["dropped", "wrong-object", "infrastructure", "policy-error"]
    found = staged(kinds, {"libero_object": [0]}, 0, 80)
    assert len(found) == 4
    assert all(right(episode) for episode in found), found
    told = {episode["policy"]: episode for episode in found}
    assert 40 < told["dropped"]["step"] < 80
    assert "the policy's process" in told["infrastructure"]["evidence"]


@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")  # four of the kinds are tested above
def test_staged_failures_are_labelled_right(staged: Staged) -> None:
    """Nine kinds of a robot's failure, 72 episodes of four tasks in three suites."""
    kinds = [kind for kind in KINDS if kind not in ("infrastructure", "policy-error")]
    suites = {"libero_object": [2, 7], "libero_spatial": [0], "libero_goal": [8]}
    found = staged(kinds, suites, "0-1", 250)
    wrong = [episode for episode in found if not right(episode)]
    print(f"\n{len(found) - len(wrong)} of {len(found)} labelled right; wrong: {wrong}")
    assert len(found) >= 60
    assert len(wrong) <= 0.05 * len(found), wrong


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("failures gone", ("'gone'", "not a run directory")),
        ("failures run --gallery notes.txt", ("'notes.txt'", "choose another --gallery")),
    ],
)
def test_bad_commands(
    refused: Refused, work: Path, command: str, expected: tuple[str, ...]
) -> None:
    make_run(work / "run", grid())
    (work / "notes.txt").write_text("notes")
    refused(*command.split(), expected=expected)


def test_a_misspelt_kind_is_refused(refused: Refused, work: Path) -> None:
    (work / "s.yaml").write_text(
        "policies: [{name: staged-failure, options: {kind: droped}}]\nsuites: {toy: all}\n"
    )
    refused("sweep", "s.yaml", "--out", "out", expected=("'droped'", "dropped"))


def test_a_simulator_without_facts_is_named(work: Path, toy: Suite, wambench: CommandLine) -> None:
    rules = protocols()["wambench-1"].model_dump(mode="json")
    done = [replace(make_cell(task=k), task=toy.tasks()[k].name) for k in (0, 1)]
    cells = [*done, make_cell(task=5)]
    with Store.write(work / "run", "a test") as store:
        store.set_passport(Passport(protocol=rules, fingerprint={}, info={}))
        plan_and_add(store, cells, [])
        for cell in cells:
            store.add_episode(make_record(cell, outcome="failure"))
    ended = wambench("failures", "run")
    assert ended.code == 0 and "no episode was explained" in ended.out
    assert "not read: toy/0: LookupError: toy tells no facts" in ended.err
    assert "not read: toy/5: LookupError: the installed toy has no task 'task 5'" in ended.err
    told = wambench("failures", "run", "--json")
    assert json.loads(told.out) == json.loads(Path("run/failures.json").read_text())
