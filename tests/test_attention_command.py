"""``wambench attention``: refused in one line before work starts; whole folders that go on."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Refused
from tests.running import wambench

PLACE = "--suite libero_object --task 6 --init 41 --out study"
BAD = {
    "no action tokens": (f"--policy expert {PLACE}", ("'expert'", "no action tokens")),
    "unknown policy": (f"--policy nano-pi1 {PLACE}", ("'nano-pi1'", "nano-pi0")),
    "named twice": (f"--policy nano-pi0 --policy nano-pi0 {PLACE}", ("twice", "label")),
    "no weights": (f"--policy pi0 {PLACE}", ("'pi0'", "cannot run here")),
    "unknown camera": (f"--policy nano-pi0 --camera left {PLACE}", ("'left'", "agentview, wrist")),
    "unknown protocol": (f"--policy nano-pi0 --protocol nano {PLACE}", ("'nano'", "nano-1")),
    "unknown suite": (
        "--policy nano-pi0 --suite libero_objct --task 6 --init 41 --out study",
        ("'libero_objct'", "libero_object"),
    ),
    "unknown task": (
        "--policy nano-pi0 --suite libero_object --task 10 --init 41 --out study",
        ("no task 10", "0-9"),
    ),
    "unknown initial state": (
        "--policy nano-pi0 --suite libero_object --task 6 --init 50 --out study",
        ("init state 50", "0-49"),
    ),
    "no init": (
        "--policy nano-pi0 --suite libero_object --task 6 --out study",
        ("--init is missing", "--run"),
    ),
    "failures of no run": (f"--policy nano-pi0 {PLACE} --failed", ("--failed", "--run")),
    "no run": ("--run runs/none --out study", ("'runs/none'", "not a run directory")),
    "run and courses": (
        "--run runs/none --protocol nano-1 --out study",
        ("--run and --protocol exclude each other",),
    ),
    "into a file": (
        "--policy nano-pi0 --suite libero_object --task 6 --init 41 --out notes.txt",
        ("'notes.txt'", "another --out"),
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(refused: Refused, work: Path, what: str) -> None:
    (work / "notes.txt").write_text("notes")
    command, expected = BAD[what]
    refused("attention", *command.split(), expected=expected)


@pytest.mark.slow
def test_a_small_study_is_whole_and_goes_on(tmp_path: Path) -> None:
    command = ("attention", "--policy", "nano-pi0", "--suite", "libero_object", "--task", "6",
               "--init", "41", "--stride", "64", "--out", tmp_path / "study")  # fmt: skip
    first = wambench(*command, timeout=900)
    assert first.returncode == 0, first.stderr
    study = tmp_path / "study"
    manifest = json.loads((study / "manifest.json").read_text())
    assert set(manifest["controls"]) == {"untrained", "other instruction"}
    watching = manifest["watching"]["nano-pi0"]
    assert 0 < watching["kept_bytes"] <= 2_000_000 and watching["time_ratio"] > 1
    for name in ("attention.html", "over-time.png", "rollout.mp4", "rollout.gif", "blanking.png"):
        assert name in manifest["files"] and (study / name).stat().st_size > 1000
    scores = pd.read_parquet(study / "scores.parquet")
    oracle = scores[scores["control"] == "oracle"]
    assert (oracle["auroc"] == 1).all() and oracle["mass"].min() > 1 - 1e-9

    # Again: nothing is asked anew, and the tables come out the same.
    before = {p.name: p.stat().st_mtime_ns for p in (study / "parts").iterdir()}
    again = wambench(*command, timeout=900)
    assert again.returncode == 0, again.stderr
    assert before == {p.name: p.stat().st_mtime_ns for p in (study / "parts").iterdir()}
    pd.testing.assert_frame_equal(scores, pd.read_parquet(study / "scores.parquet"))
