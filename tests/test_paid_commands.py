"""Every command that reads a run reads one under a paying clock, whose labels have spaces."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.failures import DEFINITIONS
from tests import latency_run
from tests.conftest import CommandLine, Install
from tests.plugin import TOY
from tests.running import sweep
from tests.running import wambench as command
from wambench import plugins
from wambench.clock import Decision
from wambench.inset import decisions_of, under_way, with_inset
from wambench.store import Store
from wambench.video import film_name

GRID = {
    "policies": ["expert"],
    "suites": {"toy": [0, 1]},
    "init_states": "0-1",
    "protocol_changes": {"clock": "paying", "max_steps": {"toy": 24}},
    "latency_ms": [0, 300],
    "rules": ["hold", "repeat"],
}
ARMS = ("expert 0ms", "expert 300ms hold", "expert 300ms repeat")


@pytest.mark.usefixtures("toy")
def test_a_paid_run_goes_through_every_command(
    wambench: CommandLine, swept: CommandLine, tmp_path: Path
) -> None:
    played, run = tmp_path / "played", tmp_path / "run"
    ended = swept(tmp_path / "s.yaml", GRID, played, "--workers", 1)
    assert ended.code == 0, ended.err

    def done(*arguments: object) -> str:
        ended = wambench(*arguments)
        assert ended.code == 0, ended.err
        return ended.out

    done("merge", played, "--out", run)
    with Store.read(run) as store:
        kept, choices = store.measurements("clock/"), store.policies()
        cells = store.cells()
        slow = next(one for one in cells if one.cell.policy == "expert 300ms hold")
        snapshots = store.trace(slow.cell.key).snapshots
    assert len(cells) == len(kept) == 12 and all(one.outcome for one in cells)
    assert {label: bool(choice.timing) for label, (choice, _) in choices.items()} == dict.fromkeys(
        ARMS, True
    )
    done("export", run, "--light", tmp_path / "light", "--episodes", tmp_path / "e.csv",
         "--timings", tmp_path / "t.csv", "--actions", tmp_path / "a.npz",
         "--policy", "expert 0ms")  # fmt: skip
    with (tmp_path / "e.csv").open() as file:
        assert {row["policy"] for row in csv.DictReader(file)} == set(ARMS)
    assert np.load(tmp_path / "a.npz")["toy/go left/0"].ndim == 2
    assert "expert" in done("report", tmp_path / "light")
    assert 'id="thinking"' in (tmp_path / "light" / "report.html").read_text()
    done("runs", "show", run)
    done("plan", "--baseline", "0.9", "--delta", "0.1", "--run", run)
    done("video", run, "--policy", "expert 300ms hold", "--out", tmp_path / "films",
         "--size", "64")  # fmt: skip
    done("video", run, "--policy", "expert 0ms", "--out", tmp_path / "films", "--size", "64")
    films = {one.name for one in (tmp_path / "films").iterdir()}
    assert film_name(slow.cell) in films and len(films) == 2
    assert not any(" " in name for name in films)
    frames = read(tmp_path / "films" / film_name(slow.cell))
    waits = under_way(decisions_of(kept[slow.cell.key]), len(snapshots))
    assert len(frames) == len(waits)
    # The toy suite draws its lower half black: what is there is the bar.
    shown = [bool(frame[-1].max() > 100) for frame in frames]
    assert shown == [wait is not None and wait[0] > 0 for wait in waits] and any(shown)
    plain = next(name for name in films if name != film_name(slow.cell))
    assert max(frame[-1].max() for frame in read(tmp_path / "films" / plain)) < 50


def read(film: Path) -> Sequence[NDArray[np.uint8]]:
    with av.open(str(film)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_failures_of_arms_are_a_row_each(
    tmp_path: Path, install: Install, wambench: CommandLine
) -> None:
    """With a toy that tells nothing of its snapshots: faults of policies need no look."""
    install("toybench", {"toybench.py": TOY}, {plugins.SUITES: {"toy": "toybench:ToySuite"}})
    run = latency_run.make(tmp_path / "run", {"slow": 0.1}, ["slow 0ms", "slow 800ms hold"])
    with Store.write(run) as store, store.connection:
        store.connection.execute(
            "UPDATE episodes SET outcome = 'policy_error', fault = 'it broke' "
            "WHERE outcome = 'failure'"
        )
    ended = wambench("failures", run)
    assert ended.code == 0, ended.err
    head, *rows = [line.rstrip() for line in ended.out.splitlines()]
    assert head.split("  ")[0] == "policy" and "policy error" in head
    assert [row.split("  ")[0] for row in rows] == ["slow 0ms", "slow 800ms hold"]
    assert "policy error" in DEFINITIONS
    assert wambench("report", run).code == 0
    text = (run / "report.html").read_text()
    assert "Of every arm: <code>wambench failures" in text


def test_a_bar_fills_until_the_answer_is_there() -> None:
    waits = under_way([Decision(0, 4), Decision(6, 9)], 9)
    assert waits == [(0, 4), (1, 4), (2, 4), (3, 4), None, None, (0, 9), (1, 9), (2, 9)]
    for height, width in ((16, 16), (64, 64), (128, 256), (256, 512)):
        grey = np.full((height, width, 3), 120, np.uint8)
        drawn = list(with_inset(itertools.repeat(grey, 9), waits, 20.0))
        filled = [int((frame[-1] == (255, 176, 0)).all(axis=1).sum()) for frame in drawn]
        assert (
            filled[0] == filled[4] == filled[5] == 0 and filled[1] < filled[2] < filled[3] < width
        )
        assert drawn[3].shape == grey.shape and drawn[3].dtype == np.uint8
        assert (drawn[4] == grey).all() and (drawn[3][: height // 2] == grey[: height // 2]).all()


def test_only_decisions_that_were_paid_for_are_shown() -> None:
    told: Mapping[str, Any] = {"clock/asked_step": [0, 8, 16], "clock/charged_steps": [0, 2, 0]}
    assert decisions_of(told) == [Decision(8, 2)]
    assert decisions_of({}) == []


@pytest.mark.slow
def test_failures_of_a_real_paid_run_are_explained_and_exported(tmp_path: Path) -> None:
    run = tmp_path / "run"
    content = """
policies: [expert]
suites: {libero_object: [0]}
init_states: 0
protocol: nano-1
protocol_changes: {clock: paying, max_steps: {libero_object: 120}}
latency_ms: [0, 400]
rules: [hold]
"""
    sweep(tmp_path / "s.yaml", content, run, "--workers", "1")
    for arguments in (
        ["failures", run, "--gallery", tmp_path / "gallery"],
        ["export", run, "--lerobot", tmp_path / "data", "--policy", "expert 400ms hold"],
        ["report", run],
    ):
        ended = command(*arguments)
        assert ended.returncode == 0, ended.stderr
    (strip,) = (tmp_path / "gallery").iterdir()
    assert "expert_400ms_hold" in strip.name and " " not in strip.name
    assert (tmp_path / "data" / "meta" / "info.json").is_file()
    assert "expert 0ms" in (run / "report.html").read_text()
