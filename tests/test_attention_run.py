"""``wambench attention --run``: a policy is asked where its own stored episodes asked it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.attention.own.chosen import Wanted, choose
from tests import running
from tests.conftest import CommandLine, Install, Refused
from tests.recorded import record_run
from wambench import plugins
from wambench.protocols import protocol
from wambench.store import STORE_NAME, Store
from wambench.store.light import lighten

SOURCE = (Path(__file__).parent / "gazer.py").read_text()
STATES = [0, 1, 2, 3, 4]


@pytest.fixture
def gazed(install: Install, toy: Any, tmp_path: Path) -> Path:
    """Ten episodes of a policy with attention on two toy tasks, and five of one without."""
    entries = {plugins.POLICIES: {"gazer": "gazer:Gazer"}}
    install("gazer", {"gazer.py": SOURCE}, entries)
    rules = protocol("wambench-1", {"max_steps": {"toy": 12}, "replan_steps": 5})
    policies = {
        "gazer": plugins.make_policy("gazer", {}),
        "expert": plugins.make_policy("expert", {}),
    }
    return record_run(tmp_path / "run", toy, policies, [0, 1], STATES, rules)


def test_a_run_is_looked_at_where_it_looked(
    gazed: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    out = tmp_path / "own"
    command = ("attention", "--run", gazed, "--out", out, "--effects", 2)
    ended = wambench(*command)
    assert ended.code == 0, ended.err
    assert "left out: expert: it has no action tokens" in ended.out
    manifest = json.loads((out / "manifest.json").read_text())
    entry = manifest["policies"]["gazer"]
    assert entry["acted_again"] == entry["to_the_bit"] == 2 * 2 * len(STATES)
    assert entry["changed"] == [] and entry["looks_every"] == 5
    scores = pd.read_parquet(out / "scores.parquet")
    assert set(scores["step"]) == {0, 5, 10} and set(scores["policy"]) == {"gazer"}
    assert entry["moments"] == len(scores[["task_index", "init_state", "step"]].drop_duplicates())
    sinks = pd.read_csv(out / "sinks.csv")
    assert sinks[["camera", "row", "column"]].values.tolist() == [["agentview", 1, 2]]
    outcomes = pd.read_csv(out / "outcomes.csv")
    assert outcomes["p"].isna().all() and outcomes["note"].notna().all()
    assert set(outcomes["sinks"]) == {"kept", "removed"}
    blocks = pd.read_parquet(out / "blocks.parquet")
    assert len(blocks) == 24 * entry["acted_again"]
    page = (out / "attention.html").read_text()
    assert "Looks around failures" in page and "http" not in page.split("</style>")[1]
    assert set(manifest["files"]) >= {
        "failures-gazer.png",
        "agreement.csv",
        "effects.csv",
        "means.csv",
    }

    # Again: nothing is asked anew.
    before = {p.name: p.stat().st_mtime_ns for p in (out / "parts").iterdir()}
    assert wambench(*command).code == 0
    assert before == {p.name: p.stat().st_mtime_ns for p in (out / "parts").iterdir()}


def test_filters_choose_episodes(gazed: Path) -> None:
    with Store.read(gazed) as store:
        ended = {one.outcome for one in store.cells() if one.cell.policy == "expert"}
        chosen = choose(store, Wanted(tasks=[1], init_states=[3, 4]))
    assert ended == {"success"}
    assert [one.cell.init_state for group in chosen.groups for one in group.stored] == [3, 4]
    assert [group.looking.stride for group in chosen.groups] == [5]


def test_looks_at_other_steps_are_left_out(gazed: Path) -> None:
    with sqlite3.connect(gazed / STORE_NAME) as database:
        which = "SELECT key FROM cells WHERE policy = 'gazer' AND task_index = 0"
        database.execute(f"UPDATE episodes SET looks = looks + 1 WHERE cell_key IN ({which})")
    database.close()
    with Store.read(gazed) as store:
        chosen = choose(store, Wanted())
    assert {group.stored[0].cell.task_index for group in chosen.groups} == {1}
    assert any("1 of 2 tasks" in line for line in chosen.left_out)


def test_a_policy_that_is_another_now_is_told(gazed: Path) -> None:
    site = gazed.parent / "site-packages" / "gazer.py"
    site.write_text(SOURCE + "# changed\n")
    with Store.read(gazed) as store:
        assert choose(store, Wanted()).changed == {"gazer": ["source"]}


@pytest.mark.usefixtures("gazed")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--policy gazr", ("no policy 'gazr'", "gazer")),
        ("--policy expert", ("nothing to show", "no action tokens")),
        ("--task 7", ("no episode", "has ended")),
        ("--policy expert --failed", ("no episode", "has failed")),
        ("--failed --succeeded", ("--failed and --succeeded", "leave both out")),
        ("--stride 8", ("--run and --stride exclude each other",)),
        ("--option a=1", ("--run and --option exclude each other",)),
        ("--camera wrist", ("'wrist'", "agentview")),
    ],
)
def test_what_cannot_be_shown_is_refused(
    refused: Refused, gazed: Path, options: str, expected: tuple[str, ...]
) -> None:
    refused("attention", "--run", gazed, "--out", "own", *options.split(), expected=expected)


def test_runs_without_courses_are_refused(refused: Refused, gazed: Path, tmp_path: Path) -> None:
    lighten(gazed, tmp_path / "light")
    light = ("attention", "--run", tmp_path / "light", "--out", "own")
    refused(*light, expected=("kept without the courses", "its sweep"))
    shutil.copytree(gazed, tmp_path / "imported")
    with sqlite3.connect(tmp_path / "imported" / STORE_NAME) as database:
        told = "json_set(json, '$.info.imported', json_object('p', 'results.json'))"
        database.execute(f"UPDATE passports SET json = {told}")
    database.close()
    imported = ("attention", "--run", tmp_path / "imported", "--out", "own")
    refused(*imported, expected=("imported results", "nobody stored the course"))


def test_an_episode_that_goes_otherwise_is_refused(
    gazed: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    with Store.read(gazed) as store:
        cell = next(one.cell for one in store.cells() if one.cell.policy == "gazer")
        trace = store.trace(cell.key)
    digests = trace.digests.copy()
    digests[7] += 1
    blob = dataclasses.replace(trace, digests=digests).pack()
    with sqlite3.connect(gazed / STORE_NAME) as database:
        database.execute("UPDATE episodes SET trace = ? WHERE cell_key = ?", (blob, cell.key))
    database.close()
    ended = wambench("attention", "--run", gazed, "--out", tmp_path / "own")
    assert ended.code == 2 and "goes otherwise here from step 7 on" in ended.err


NANO = """
import sys
from pathlib import Path
from tests.recorded import record_run
from wambench import plugins
from wambench.protocols import protocol
policy = plugins.make_policy("nano-pi0", {})
policy.load()
rules = protocol("nano-1", {"max_steps": {"libero_object": 20}})
suite = plugins.make_suite("libero_object")
record_run(Path(sys.argv[1]), suite, {"nano-pi0": policy}, [6], [41], rules)
print(0)
"""


@pytest.mark.slow
def test_a_nano_policy_does_again_what_it_did(tmp_path: Path) -> None:
    """Asked where it was asked, it answers with the stored actions to the bit.

    In processes of their own, as with users: where torch is loaded already its kernels are chosen.
    """
    subprocess.run([sys.executable, "-c", NANO, str(tmp_path / "run")], check=True, timeout=600)
    out = tmp_path / "own"
    ended = running.wambench(
        "attention", "--run", tmp_path / "run", "--out", out, "--effects", "99", timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    entry = manifest["policies"]["nano-pi0"]
    every = entry["looks_every"]
    assert entry["moments"] == -(-20 // every)
    assert entry["acted_again"] == entry["to_the_bit"] == entry["moments"]
    scores = pd.read_parquet(out / "scores.parquet")
    assert set(scores["step"]) == set(range(0, 20, every))
    there = scores[(scores["region"] == "object") & (scores["camera"] == "agentview")]
    assert len(there) == entry["moments"] and np.isfinite(there[["lift", "distance"]]).all(
        axis=None
    )
    assert scores["before"].notna().all(), "the simulator tells of the first attempt"
    blocks = pd.read_parquet(out / "blocks.parquet")
    assert (blocks.groupby("step")["moved"].max() > 0).all()
    assert (out / "failures-nano-pi0.png").stat().st_size > 10_000
