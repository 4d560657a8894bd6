"""Sweeps on real Ray and real LIBERO: same records however they are run, faults kept apart."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import Install
from tests.running import COMMAND, episodes_csv, sweep, wambench
from wambench import plugins
from wambench.store import Store


def test_expert_wins_and_random_loses(small_run: Path) -> None:
    with Store.read(small_run) as store:
        outcomes = {(k.cell.policy, k.outcome) for k in store.cells()}
        passport = store.passport()
    assert outcomes == {("expert", "success"), ("random", "failure")}
    assert passport is not None
    assert passport.info["probes"]["libero_object"]["golden"] == "equal"
    assert "llvmpipe" in passport.info["probes"]["libero_object"]["gl_renderer"]


def test_workers_order_and_batching_change_nothing(small_run: Path, tmp_path: Path) -> None:
    content = {
        "policies": ["random", "expert"],
        "suites": {"libero_object": [3, 2]},
        "init_states": [1, 0],
        "protocol_changes": {"max_steps": {"libero_object": 130}},
    }
    run = tmp_path / "other"
    sweep(tmp_path / "s.yaml", yaml.safe_dump(content), run, "--workers", "1", "--max-batch", "1")
    assert episodes_csv(run) == episodes_csv(small_run)


def test_known_cells_are_skipped_and_a_run_can_be_extended(
    small_run: Path, small_sweep: Path, tmp_path: Path
) -> None:
    before = episodes_csv(small_run)
    again = wambench("sweep", small_sweep, "--out", small_run)
    assert again.returncode == 0 and "8 of 8 cells are known" in again.stderr
    assert episodes_csv(small_run) == before
    assert (
        "0 cells to run (8 known)"
        in wambench("sweep", small_sweep, "--out", small_run, "--dry-run").stdout
    )


FAULTS = """
import os, time
import numpy as np
from wambench import Policy, PolicySpec

class Base(Policy):
    spec = PolicySpec(paradigm="test", about="broken on purpose", horizon=4)
    def act(self, observations):
        return [self.chunk(seen) for seen in observations]
    def chunk(self, seen):
        return np.zeros((4, 7))

class Nan(Base):
    def chunk(self, seen):
        chunk = np.zeros((4, 7))
        if seen.step >= 8:
            chunk[2, 5] = np.nan
        return chunk

class Shape(Base):
    def chunk(self, seen): return np.zeros((4, 6))

class Dtype(Base):
    def chunk(self, seen): return np.zeros((4, 7), int)

class Nothing(Base):
    def act(self, observations): return None

class Raises(Base):
    def chunk(self, seen): raise KeyError("norm_stats")

class Dies(Base):
    def chunk(self, seen): os._exit(3)

class Hangs(Base):
    def chunk(self, seen): time.sleep(10_000)

class Fine(Base):
    pass
"""


def test_each_fault_is_recorded_for_what_it_is(install: Install, tmp_path: Path) -> None:
    """Policy errors, dead and hanging policies and good ones, side by side in one sweep."""
    names = ["Nan", "Shape", "Dtype", "Nothing", "Raises", "Dies", "Hangs", "Fine"]
    entries = {plugins.POLICIES: {name.lower(): f"faulty:{name}" for name in names}}
    install("faulty", {"faulty.py": FAULTS}, entries)
    content = {
        "policies": [name.lower() for name in names],
        "suites": {"libero_object": [2]},
        "init_states": 0,
        "protocol_changes": {"max_steps": {"libero_object": 20}},
    }
    file, run = tmp_path / "faults.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(content))
    result = wambench("sweep", file, "--out", run, "--stall-seconds", "8", "--attempts", "2")
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: 2 cells failed by infrastructure 2 times each")

    with Store.read(run) as store:
        known = {stored.cell.policy: stored for stored in store.cells()}
        attempts = [(a["cell_key"], a["kind"]) for a in store.attempts()]
        traces = {name: store.trace(known[name].cell.key) for name in ("nan", "fine")}
    faults = {name: known[name].fault for name in ("nan", "shape", "dtype", "nothing", "raises")}
    assert all(known[name].outcome == "policy_error" for name in faults)
    assert "nan at action 2, dimension 5" in faults["nan"]
    assert known["nan"].steps == 8 and len(traces["nan"].actions) == 8
    assert "(4, 6)" in faults["shape"] and "int64" in faults["dtype"]
    assert "NoneType" in faults["nothing"]
    assert "KeyError" in faults["raises"] and "norm_stats" in faults["raises"]
    assert known["fine"].outcome == "failure" and known["fine"].steps == 20
    for name, kind in (("dies", "exception"), ("hangs", "policy stalled")):
        assert known[name].outcome is None, "infrastructure is never a robot's failure"
        kinds = [k for key, k in attempts if key == known[name].cell.key]
        assert kinds == [kind, kind]


WEDGED = """
import time
from tasks.libero.suite import LiberoSuite

class Wedged(LiberoSuite):
    def open(self, task, rendering):
        simulator = super().open(task, rendering)
        def step(action):
            time.sleep(10_000)
        simulator.step = step
        return simulator

def suite():
    made = Wedged("libero_object")
    made.spec = made.spec.model_copy(update={"name": "wedged"})
    return made
"""


def test_a_wedged_simulator_is_killed(install: Install, tmp_path: Path) -> None:
    install("wedge", {"wedge.py": WEDGED}, {plugins.SUITES: {"wedged": "wedge:suite"}})
    content = "policies: [frozen]\nsuites: {wedged: [2]}\ninit_states: 0\n"
    file, run = tmp_path / "s.yaml", tmp_path / "run"
    file.write_text(content)
    result = wambench("sweep", file, "--out", run, "--stall-seconds", "12", "--attempts", "1")
    assert result.returncode == 2
    with Store.read(run) as store:
        assert [attempt["kind"] for attempt in store.attempts()] == ["stalled"]
        assert store.known() == set()


def test_torch_is_never_imported_by_a_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torch that explodes on import lies first on the path of every process of the sweep."""
    poison = tmp_path / "poison" / "torch"
    poison.mkdir(parents=True)
    (poison / "__init__.py").write_text("raise SystemExit('torch was imported')")
    monkeypatch.setenv("PYTHONPATH", str(poison.parent), prepend=os.pathsep)
    content = (
        "policies: [random]\nsuites: {libero_object: [2]}\ninit_states: 0\n"
        "protocol_changes: {max_steps: {libero_object: 10}}\n"
    )
    run = tmp_path / "run"
    sweep(tmp_path / "s.yaml", content, run)
    with Store.read(run) as store:
        assert len(store.known()) == 1


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    content = (
        "policies: [random]\nsuites: {libero_object: [2]}\ninit_states: 0-19\n"
        "protocol_changes: {max_steps: {libero_object: 60}}\n"
    )
    file, run = tmp_path / "s.yaml", tmp_path / "run"
    file.write_text(content)
    process = subprocess.Popen(
        [*COMMAND, "sweep", str(file), "--out", str(run)], stderr=subprocess.PIPE, text=True
    )
    for _ in range(600):
        time.sleep(0.2)
        if (run / "run.sqlite").exists():
            with Store.read(run) as store:
                if len(store.known()) >= 2:
                    break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "cells are stored; the same command goes on" in errors
    assert "Traceback" not in errors
    sweep(file, content, run)
    with Store.read(run) as store:
        assert len(store.known()) == 20
