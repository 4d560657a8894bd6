"""Every command on every odd run: a sensible result or one clear line."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from baselines.scripted import ExpertPolicy, FrozenPolicy
from tests.conftest import CommandLine, check_refusal
from tests.recorded import record_run
from tests.test_lerobot_export import RULES
from wambench.cells import PolicyChoice
from wambench.contract import Observation, PolicySpec
from wambench.policy import Policy
from wambench.store import STORE_NAME, Store, lighten
from wambench.suite import Suite

TASKS, INIT_STATES = [0, 2], [0, 1]
CELLS = 2 * len(TASKS) * len(INIT_STATES)  # of the two policies of most runs


class Raising(Policy):
    """Never answers."""

    spec = PolicySpec(paradigm="scripted", about="a test's")

    def act(self, observations: Sequence[Observation]) -> list[Any]:
        raise ValueError("<no\nanswer>")


def played(folder: Path, toy: Suite, **policies: Policy) -> Path:
    """Real episodes; no label is the name of a policy that is installed."""
    chosen = policies or {"good": ExpertPolicy(), "still": FrozenPolicy()}
    return record_run(folder, toy, chosen, TASKS, INIT_STATES, RULES)


def edited(folder: Path, toy: Suite, *statements: str) -> Path:
    played(folder, toy)
    with sqlite3.connect(folder / STORE_NAME) as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return folder


# ---------------------------------------------------------------- kinds of runs


def killed(folder: Path, toy: Suite) -> Path:
    """As the disk is when a sweep is killed: half is there, some of it in the log alone."""
    whole = played(folder.with_name("whole"), toy)
    with Store.read(whole) as store:
        cells = [known.cell for known in store.cells()]
        specs = {label: spec for label, (_, spec) in store.policies().items()}
    writing = folder.with_name("writing")
    shutil.copytree(whole, writing)
    with Store.write(writing, "wambench sweep it.yaml") as store:
        gone = [cell.key for cell in cells[::2]]
        store.connection.execute(f"DELETE FROM episodes WHERE cell_key IN ({str(gone)[1:-1]})")
        store.connection.commit()
        store.add_plan(cells, [PolicyChoice(label, label) for label in specs], specs)
        shutil.copytree(writing, folder)
    assert (folder / f"{STORE_NAME}-wal").stat().st_size > 0
    return folder


def all_missing(folder: Path, toy: Suite) -> Path:
    edited(folder, toy, "DELETE FROM episodes")
    with Store.write(folder) as store:
        for known in store.cells():
            store.add_attempt(known.cell, "crash", "the worker\ndied", "Traceback …")
    return folder


def before_its_start(folder: Path, toy: Suite) -> Path:
    with Store.write(folder):
        pass
    return folder


def without_tables(folder: Path, toy: Suite) -> Path:
    folder.mkdir()
    sqlite3.connect(folder / STORE_NAME).close()
    return folder


def light(folder: Path, toy: Suite) -> Path:
    lighten(played(folder.with_name("whole"), toy), folder)
    return folder


def by_sql(*statements: str) -> Callable[[Path, Suite], Path]:
    return lambda folder, toy: edited(folder, toy, *statements)


NOVEL = "SET json = json_set(json, '$.{}', 1)"
KINDS: dict[str, Callable[[Path, Suite], Path]] = {
    "killed in mid-sweep": killed,
    "half empty": by_sql(
        "DELETE FROM episodes WHERE cell_key IN (SELECT key FROM cells WHERE policy = 'still')",
        "DELETE FROM episodes WHERE cell_key IN (SELECT key FROM cells WHERE init_state = 1)",
    ),
    "one policy": lambda folder, toy: played(folder, toy, good=ExpertPolicy()),
    "all failed": lambda folder, toy: played(
        folder, toy, good=FrozenPolicy(), still=FrozenPolicy()
    ),
    "all missing": all_missing,
    "errors only": lambda folder, toy: played(folder, toy, good=Raising(), still=Raising()),
    "nothing run": by_sql("DELETE FROM episodes"),
    "before its start": before_its_start,
    "without tables": without_tables,
    "other store": by_sql("UPDATE meta SET value = '999' WHERE name = 'schema'"),
    "other protocol": by_sql("UPDATE passports " + NOVEL.format("protocol.novel")),
    "other passport": by_sql("UPDATE passports " + NOVEL.format("novel")),
    "other specs": by_sql("UPDATE policies SET spec = json_set(spec, '$.novel', 1)"),
    "other conditions": by_sql(
        "UPDATE passports " + NOVEL.format("fingerprint.engine.episode_version").replace("1)", "9)")
    ),
    "no such suite": by_sql("UPDATE cells SET suite = 'gone'"),
    "light": light,
    "damaged": by_sql("UPDATE episodes SET trace = substr(trace, 1, 30)"),
}

# RUN is the odd one, OTHER a sound one without courses, OUT a new folder.
COMMANDS = {
    "report": "report RUN --tables OUT/tables --json",
    "compare": "report OTHER --compare RUN --out OUT/page.html",
    "merge": "merge RUN OTHER --out OUT/all",
    "failures": "failures RUN --episodes",
    "replay": "replay RUN",
    "video": "video RUN --out OUT/films --size 32",
    "episodes": "export RUN --episodes OUT/episodes.csv",
    "timings": "export RUN --timings OUT/timings.csv",
    "actions": "export RUN --actions OUT/actions.npz --policy good",
    "lerobot": "export RUN --lerobot OUT/set --size 16",
    "light": "export RUN --light OUT/light",
    "plan": "plan --baseline 0.9 --delta 0.05 --run RUN",
    "show": "runs show RUN",
    "runs": "runs --in RUN",
}
EMPTY = dict.fromkeys(COMMANDS, "no sweep got past its start") | {"runs": "cannot read: "}
STRANGE = dict.fromkeys(COMMANDS, "holds a store of version 999") | {"runs": "cannot read: "}
NO_COURSE = "without the courses of its episodes"
OTHERS = "another version of wambench wrote the"
NONE_FINISHED = {
    **dict.fromkeys(("replay", "video", "lerobot"), "no finished episode of any policy"),
    "plan": "no finished episode to take timings from",
    "report": '"missing": 8',
    "show": f"0 of {CELLS} cells",
    "actions": "'good' has no successful episode",
}

SAID: dict[str, dict[str, str]] = {
    "killed in mid-sweep": {
        "report": '"missing": 4',
        "show": f"4 of {CELLS} cells",
        "runs": "wambench-1",
        "lerobot": "4 episodes",
        "video": "frames, ",
        "plan": "episodes a policy",
    },
    "half empty": {"report": '"missing": 6', "lerobot": "2 episodes", "show": f"2 of {CELLS}"},
    "one policy": {"report": '"comparisons": []', "lerobot": "4 episodes", "merge": "8 episodes"},
    "all failed": {
        "report": '"successes": 0',
        "actions": "'good' has no successful episode",
        "lerobot": "8 episodes",
        "failures": "tells no facts",
    },
    "all missing": NONE_FINISHED | {"failures": "infrastructure"},
    "errors only": {
        "report": "ValueError",
        "failures": "policy error",
        "lerobot": "has a step",
        "actions": "'good' has no successful episode",
        "video": "1 frames, policy_error",
    },
    "nothing run": NONE_FINISHED | {"failures": "no episode has finished"},
    "before its start": {
        "report": "holds no cells yet",
        "compare": "has no passport",
        "merge": "no sweep got past its start",
        "failures": "holds no results yet",
        "actions": "holds no cells yet",
        "show": "no cells yet",
    },
    "without tables": EMPTY,
    "other store": STRANGE,
    "other protocol": dict.fromkeys(
        ("failures", "replay", "video", "lerobot"), f"{OTHERS} protocol"
    ),
    "other passport": dict.fromkeys(
        ("report", "compare", "merge", "failures", "replay", "video", "lerobot", "show"),
        f"{OTHERS} passport",
    ),
    "other specs": dict.fromkeys(("report", "failures", "replay", "actions"), f"{OTHERS} policies"),
    "other conditions": dict.fromkeys(("compare", "merge"), "--allow-mismatch engine.episode"),
    "no such suite": dict.fromkeys(("video", "lerobot", "failures"), "unknown suite 'gone'"),
    "light": {
        **dict.fromkeys(("failures", "replay", "video", "actions", "lerobot"), NO_COURSE),
        "light": "8 episodes",
    },
    "damaged": {
        **dict.fromkeys(("failures", "replay", "video", "actions", "lerobot"), "is damaged"),
        "report": '"missing": 0',
        "plan": "episodes a policy",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_makes_sense_of_it(
    toy: Suite,
    tmp_path: Path,
    wambench: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    def no_ray(*_: object, **__: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("ray.init", no_ray)
    run = KINDS[kind](tmp_path / "odd", toy)
    lighten(played(tmp_path / "theirs", toy, other=FrozenPolicy()), tmp_path / "other")
    for name, command in COMMANDS.items():
        out = tmp_path / f"out-{name}"
        out.mkdir()
        places = {"RUN": run, "OTHER": tmp_path / "other", "OUT": out}
        arguments = command.split()
        for word, place in places.items():
            arguments = [part.replace(word, str(place)) for part in arguments]
        ended = wambench(*arguments)
        where = f"{kind}: {command}: {ended}"
        expected = SAID[kind].get(name, "")
        if ended.code:
            try:
                check_refusal(ended.code, ended.out, ended.err, (expected,))
            except AssertionError:
                pytest.fail(where)
        else:
            assert expected in ended.out + ended.err, where
            assert "Traceback" not in ended.err, where
    for table in tmp_path.glob("out-*/*.csv"):
        assert "policy" in pd.read_csv(table).columns, "readable without a row, too"


def test_what_was_merged_from_odd_runs_is_whole(
    toy: Suite, tmp_path: Path, wambench: CommandLine
) -> None:
    """What a killed sweep lost is filled from a whole one; what failed stays missing."""
    run = killed(tmp_path / "odd", toy)
    ended = wambench("merge", run, tmp_path / "whole", "--out", tmp_path / "all")
    assert ended.code == 0 and f"{CELLS} episodes" in ended.out, ended
    missing = all_missing(tmp_path / "missing", toy)
    ended = wambench("merge", missing, tmp_path / "all", "--out", tmp_path / "all")
    assert ended.code == 0, ended
    with Store.read(tmp_path / "all") as store:
        cells = store.cells()
    assert len(cells) == CELLS and all(known.outcome for known in cells)
    assert all(known.infrastructure_failures == 1 for known in cells)
