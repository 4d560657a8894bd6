"""Sweeps on real Ray: the same records on LIBERO however they are run; faults kept apart."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import CommandLine, Install
from tests.running import COMMAND, episodes_csv
from wambench import plugins
from wambench.store import Store


def test_expert_wins_and_random_loses(small_run: Path) -> None:
    with Store.read(small_run) as store:
        outcomes = {(k.cell.policy, k.outcome) for k in store.cells()}
        passport = store.passport()
    assert outcomes == {
        ("expert", "success"), ("demonstrator", "success"), ("random", "failure")
    }  # fmt: skip
    assert passport is not None
    assert passport.info["probes"]["libero_object"]["golden"] == "equal"
    assert "llvmpipe" in passport.info["probes"]["libero_object"]["gl_renderer"]


def test_torch_is_never_imported_by_a_simulator(small_run: Path) -> None:
    """A torch that explodes on import lay first on the path of every process of the sweep."""
    with Store.read(small_run) as store:
        assert len(store.known()) == 12
    ended = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env=os.environ | {"PYTHONPATH": str(small_run.parent / "poison")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1 and "torch was imported" in ended.stderr


def test_workers_order_and_batching_change_nothing(
    small_run: Path, tmp_path: Path, swept: CommandLine
) -> None:
    content = {
        "policies": ["random", "demonstrator", "expert"],
        "suites": {"libero_object": [2, 0]},
        "init_states": [1, 0],
        "protocol_changes": {"max_steps": {"libero_object": 130}},
    }
    run = tmp_path / "other"
    ended = swept(tmp_path / "s.yaml", content, run, "--workers", 1, "--max-batch", 1)
    assert ended.code == 0, ended.err
    assert episodes_csv(run) == episodes_csv(small_run)


def test_known_cells_are_skipped_and_a_run_can_be_extended(
    small_run: Path, wambench: CommandLine
) -> None:
    before, command = episodes_csv(small_run), ("sweep", small_run.parent / "small.yaml", "--out")
    again = wambench(*command, small_run)
    assert again.code == 0 and "12 of 12 cells are known" in again.err
    assert episodes_csv(small_run) == before
    assert "0 cells to run (12 known)" in wambench(*command, small_run, "--dry-run").out


FAULTS = """
import os, time
import numpy as np
from wambench import Policy, PolicySpec

class Base(Policy):
    spec = PolicySpec(paradigm="test", about="broken on purpose", horizon=4)
    def act(self, observations):
        return [self.chunk(seen) for seen in observations]
    def chunk(self, seen):
        return np.zeros((4, 2))

class Nan(Base):
    def chunk(self, seen):
        chunk = np.zeros((4, 2))
        if seen.step >= 8:
            chunk[2, 1] = np.nan
        return chunk

class Shape(Base):
    def chunk(self, seen): return np.zeros((4, 3))

class Dtype(Base):
    def chunk(self, seen): return np.zeros((4, 2), int)

class Nothing(Base):
    def act(self, observations): return None

class Raises(Base):
    def chunk(self, seen): raise KeyError("norm_stats")

class Dies(Base):
    def chunk(self, seen): os._exit(3)

class Hangs(Base):
    def chunk(self, seen): time.sleep(10_000)

class Memory(Base):
    def chunk(self, seen): raise MemoryError

class Lost(Base):
    def chunk(self, seen):
        try:
            raise ConnectionResetError("the model's server went away")
        except OSError as error:
            raise RuntimeError("cannot ask the model") from error

class Cuda(Base):
    def chunk(self, seen): raise RuntimeError("CUDA error: an illegal memory access")

class Fine(Base):
    pass
"""


@pytest.mark.usefixtures("toy")
def test_each_fault_is_recorded_for_what_it_is(
    install: Install, tmp_path: Path, swept: CommandLine
) -> None:
    """Policy errors, dead and hanging policies and good ones, side by side in one sweep."""
    names = ["Nan", "Shape", "Dtype", "Nothing", "Raises", "Dies", "Hangs", "Fine"]
    names += ["Memory", "Lost", "Cuda"]
    entries = {plugins.POLICIES: {name.lower(): f"faulty:{name}" for name in names}}
    install("faulty", {"faulty.py": FAULTS}, entries)
    content = {
        "policies": [name.lower() for name in names],
        "suites": {"toy": [1]},
        "init_states": 0,
        "protocol_changes": {"max_steps": {"toy": 20}},
    }
    run = tmp_path / "run"
    options = ("--stall-seconds", 6, "--attempts", 2, "--workers", 2)
    result = swept(tmp_path / "faults.yaml", content, run, *options)
    assert result.code == 2, result.err
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("error: 5 cells failed by infrastructure 2 times each")

    with Store.read(run) as store:
        known = {stored.cell.policy: stored for stored in store.cells()}
        attempts = [(a["cell_key"], a["kind"]) for a in store.attempts()]
        traces = {name: store.trace(known[name].cell.key) for name in ("nan", "fine")}
    faults = {name: known[name].fault for name in ("nan", "shape", "dtype", "nothing", "raises")}
    assert all(known[name].outcome == "policy_error" for name in faults)
    assert "nan at action 2, dimension 1" in faults["nan"]
    assert known["nan"].steps == 8 and len(traces["nan"].actions) == 8
    assert "(4, 3)" in faults["shape"] and "int64" in faults["dtype"]
    assert "NoneType" in faults["nothing"]
    assert "KeyError" in faults["raises"] and "norm_stats" in faults["raises"]
    assert known["fine"].outcome == "failure" and known["fine"].steps == 20
    machinery = dict.fromkeys(("dies", "memory", "lost", "cuda"), "policy process")
    for name, kind in (machinery | {"hangs": "policy stalled"}).items():
        assert known[name].outcome is None, "infrastructure is never a robot's failure"
        kinds = [k for key, k in attempts if key == known[name].cell.key]
        assert kinds == [kind, kind]


WEDGED = """
import re, time
from toybench import ToySuite

def wedged(name, hang):
    class Wedged(ToySuite):
        spec = ToySuite.spec.model_copy(update={"name": name})
        def open(self, task, rendering):
            simulator = super().open(task, rendering)
            simulator.step = hang
            return simulator
    return Wedged

Asleep = wedged("asleep", lambda action: time.sleep(10_000))
# As when it is wedged inside MuJoCo: for ever in C, with the interpreter's lock.
Locked = wedged("locked", lambda action: re.match("(a+)+$", 50 * "a" + "b"))
"""


@pytest.mark.usefixtures("toy")
def test_a_wedged_simulator_is_killed(install: Install, tmp_path: Path, swept: CommandLine) -> None:
    suites = {"asleep": "wedge:Asleep", "locked": "wedge:Locked"}
    install("wedge", {"wedge.py": WEDGED}, {plugins.SUITES: suites})
    content = {"policies": ["frozen"], "suites": {name: [0] for name in suites}, "init_states": 0}
    run, options = tmp_path / "run", ("--stall-seconds", 5, "--attempts", 1, "--workers", 2)
    result = swept(tmp_path / "s.yaml", content, run, *options)
    assert result.code == 2, result.err
    with Store.read(run) as store:
        assert [attempt["kind"] for attempt in store.attempts()] == ["stalled", "stalled"]
        assert store.known() == set()


DAWDLES = """
import time
import numpy as np
from wambench import Policy, PolicySpec

class Dawdles(Policy):
    spec = PolicySpec(paradigm="test", about="takes its time", horizon=4)
    def act(self, observations):
        time.sleep(0.04)
        return [np.zeros((4, 2))] * len(observations)
"""


@pytest.mark.usefixtures("toy")
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    install: Install, tmp_path: Path, swept: CommandLine
) -> None:
    install("slow", {"slow.py": DAWDLES}, {plugins.POLICIES: {"dawdles": "slow:Dawdles"}})
    content = {
        "policies": ["dawdles"],
        "suites": {"toy": [0]},
        "init_states": "0-3",
        "seeds": "0-5",
    }
    file, run = tmp_path / "s.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(content))
    command = [*COMMAND, "sweep", str(file), "--out", str(run), "--workers", "1"]
    # Children of a shell's background jobs ignore Ctrl-C, and the tests may be one.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    known = 0
    while known < 2 and process.poll() is None:
        time.sleep(0.1)
        if (run / "run.sqlite").exists():
            with Store.read(run) as store:
                known = len(store.known())
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "cells are stored; the same command goes on" in errors
    assert "Traceback" not in errors
    assert swept(file, content, run).code == 0
    with Store.read(run) as store:
        assert len(store.known()) == 24
