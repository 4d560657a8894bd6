"""Stored episodes run again, and drawn."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from baselines.scripted import ExpertPolicy, FrozenPolicy
from tests.conftest import CommandLine
from tests.recorded import record_run
from tests.running import wambench as run_wambench
from tests.snippets import in_simulators_process
from wambench.protocols import protocol
from wambench.store import STORE_NAME, Store, lighten
from wambench.suite import Suite
from wambench.trace import Trace


def test_a_cell_replays_to_the_bit(small_run: Path) -> None:
    ended = run_wambench("replay", small_run, "--task", "0", "--init", "0", "--most", "3", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert {cell["cell"]["policy"] for cell in found["cells"]} == {
        "expert", "demonstrator", "random"
    }  # fmt: skip
    assert all(cell["identical"] and cell["same_key"] for cell in found["cells"])
    assert all("equal to the bit" in cell["found"] for cell in found["cells"])
    assert found["conditions_differ"] == []


def test_a_course_that_was_tampered_with_is_found_out(
    toy: Suite, tmp_path: Path, wambench: CommandLine
) -> None:
    run, policies = tmp_path / "run", {"expert": ExpertPolicy(), "frozen": FrozenPolicy()}
    record_run(run, toy, policies, [0], [0], protocol("wambench-1"))
    with Store.read(run) as store:
        cell = next(known.cell for known in store.cells() if known.cell.policy == "expert")
        trace = store.trace(cell.key)
    trace.actions[3, 0] = np.nextafter(trace.actions[3, 0], 2)  # one bit of one number
    spoiled = Trace(trace.actions, trace.snapshots, trace.digests).pack()
    with sqlite3.connect(run / STORE_NAME) as database:
        database.execute("UPDATE episodes SET trace = ? WHERE cell_key = ?", (spoiled, cell.key))
    bystander = subprocess.Popen(["sleep", "600"])
    ended = wambench("replay", run, "--most", 2)
    assert ended.code == 1, ended.err
    assert bystander.poll() is None, "a Ray that is stopped takes nobody else's processes along"
    bystander.kill()
    bystander.wait()
    assert "NO" in ended.out and "differs from step 4 of" in ended.out
    assert "the policy acts otherwise" in ended.out
    assert "equal to the bit" in ended.out


DRAWN = """
import json, sys
import numpy as np
from pathlib import Path
from wambench import plugins
from wambench.cells import simulator_seed
from wambench.protocols import Protocol
from wambench.store import Store
with Store.read(Path(sys.argv[1])) as store:
    trace, passport = store.trace(sys.argv[2]), store.passport()
suite = plugins.make_suite("libero_object")
simulator = suite.open(suite.tasks()[2], "exact")
simulator.reset(0, simulator_seed(Protocol.model_validate(passport.protocol), 0))
cameras, steps = suite.spec.cameras, json.loads(sys.argv[3])
drawn = [simulator.draw(trace.snapshots[step], cameras, (96, 96)) for step in steps]
np.save(sys.argv[4], np.stack([np.concatenate([d[c] for c in cameras], axis=1) for d in drawn]))
print(json.dumps(len(trace.snapshots)))
"""


def test_a_film_shows_every_step(
    watched_runs: tuple[Path, Path], tmp_path: Path, wambench: CommandLine
) -> None:
    run, _ = watched_runs
    which = ("--policy", "watcher", "--suite", "libero_object", "--task", 2, "--init", 0)
    ended = wambench("video", run, *which, "--out", tmp_path / "films", "--size", 96)
    assert ended.code == 0, ended.err
    (film,) = (tmp_path / "films").iterdir()
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 20
    with Store.read(run) as store:
        known = next(
            one for one in store.cells()
            if (one.cell.policy, one.cell.task_index, one.cell.init_state) == ("watcher", 2, 0)
        )  # fmt: skip
    steps = [0, len(frames) // 2, len(frames) - 1]
    arguments = (str(run), known.cell.key, json.dumps(steps), str(tmp_path / "drawn.npy"))
    assert in_simulators_process(DRAWN, *arguments) == len(frames) == (known.steps or 0) + 1
    assert {frame.shape for frame in frames} == {(96, 2 * 96, 3)}
    for step, expected in zip(steps, np.load(tmp_path / "drawn.npy"), strict=True):
        gap = np.abs(frames[step].astype(float) - expected).mean()
        assert gap < 4, "what compression may cost"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay", "RUN", "--policy", "exprt"), "no policy 'exprt'"),
        (("replay", "RUN", "--suite", "libero_goal"), "no suite 'libero_goal'"),
        (("replay", "RUN", "--init", "49"), "no finished episode of init state 49"),
        (("video", "RUN", "--out", "films", "--size", "97"), "--size 97 is odd"),
        (("video", "RUN", "--out", "films", "--camera", "left"), "has no camera 'left'"),
        (("video", "RUN", "--out", "films", "--rendering", "fine"), "has no rendering 'fine'"),
        (("video", "nowhere", "--out", "films"), "is not a run directory"),
    ],
)
def test_bad_input_gets_one_line(
    small_run: Path, work: Path, wambench: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    ended = wambench(*(str(small_run) if part == "RUN" else part for part in arguments))
    assert ended.code == 2 and said in ended.err and ended.err.count("\n") == 1


def test_a_light_run_cannot_be_replayed(
    small_run: Path, tmp_path: Path, wambench: CommandLine
) -> None:
    lighten(small_run, tmp_path / "light")
    for command in (("replay",), ("video", "--out", tmp_path / "films")):
        ended = wambench(command[0], tmp_path / "light", *command[1:])
        assert ended.code == 2 and "without the courses of its episodes" in ended.err
