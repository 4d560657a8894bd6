"""A sweep killed at random moments, piece by piece, ends in the table of an undisturbed one."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.running import COMMAND, episodes_csv, sweep
from wambench.errors import UserError
from wambench.store import Store

CONTENT = """
policies: [random, frozen]
suites: {libero_object: [0, 3]}
init_states: INIT_STATES
protocol_changes: {max_steps: {libero_object: 60}}
"""
FULL = CONTENT.replace("INIT_STATES", "0-39")
# Substrings of process titles; the driver itself comes last.
VICTIMS = {
    "worker": "ray::SimulatorWorker",
    "policy": "ray::PolicyActor",
    "raylet": "raylet/raylet",
    "gcs": "gcs_server",
    "driver": "",
}


def processes_of(driver: psutil.Process, victim: str) -> list[psutil.Process]:
    """Live descendants of the driver of a kind."""
    title, found = VICTIMS[victim], []
    for process in driver.children(recursive=True):
        try:
            if title in " ".join(process.cmdline()[:1]):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
def test_killed_at_27_moments_the_table_is_byte_identical(tmp_path: Path, sample: bool) -> None:
    kills, cells = (5, 32) if sample else (27, 160)
    content = CONTENT.replace("INIT_STATES", "0-7") if sample else FULL
    undisturbed = tmp_path / "undisturbed"
    sweep(tmp_path / "s.yaml", content, undisturbed)

    run, chooser, killed = tmp_path / "killed", random.Random(7), Counter[str]()
    command = [*COMMAND, "sweep", str(tmp_path / "s.yaml"), "--out", str(run)]
    # Every kind of victim in turn, so that none is left out by chance; when is left to chance.
    order = list(itertools.islice(itertools.cycle(VICTIMS), kills))
    chooser.shuffle(order)
    lives, last_known = 0, 0
    while True:
        lives += 1
        assert lives < 3 * kills, f"the sweep does not get on: {last_known} cells, {killed}"
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        driver = psutil.Process(process.pid)
        while order and wait_for_moment(process, run, chooser, len(order)):
            victims = [driver] if order[-1] == "driver" else processes_of(driver, order[-1])
            if victims and process.poll() is None:
                victim = chooser.choice(sorted(victims, key=lambda p: p.pid))
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.send_signal(signal.SIGKILL)
                    killed[order.pop()] += 1
        _, errors = process.communicate(timeout=900)
        assert "Traceback" not in errors, errors
        last_known = known_cells(run, at_least=last_known)
        if process.returncode == 0:
            break
    assert not order, f"the sweep ended after only {sum(killed.values())} kills; enlarge it"
    with Store.read(run) as store:
        integrity = store.connection.execute("PRAGMA integrity_check").fetchone()
        attempts = Counter(attempt["kind"] for attempt in store.attempts())
        assert len(store.known()) == len(store.cells()) == cells
    print(f"\nkilled {dict(killed)} over {lives} lives of the driver; attempts {dict(attempts)}")
    assert integrity == ("ok",)
    assert sum(killed.values()) >= kills - 2 and set(killed) == set(VICTIMS)
    assert {"crash", "ray"} <= set(attempts), "no kill hit a running episode"
    assert episodes_csv(run) == episodes_csv(undisturbed)


def wait_for_moment(
    process: subprocess.Popen[str], run: Path, chooser: random.Random, left: int
) -> bool:
    """Wait for a random moment: while starting up every fourth time, else amid the cells.

    Returns False once the driver has ended.
    """
    goal = 0 if left % 4 == 0 else known_cells(run) + chooser.randint(1, 4)
    while process.poll() is None and known_cells(run) < goal:
        time.sleep(0.1)
    time.sleep(chooser.uniform(0.0, 3.0 if left % 4 == 0 else 0.7))
    return process.poll() is None


def known_cells(run: Path, at_least: int = 0) -> int:
    """How many cells are stored; what was stored before a kill must still be there."""
    try:
        with Store.read(run) as store:
            count = len(store.known())
    except UserError:  # killed before there was a store
        count = 0
    assert count >= at_least, "finished cells were lost"
    return count


def test_ray_processes_die_with_a_killed_driver(tmp_path: Path) -> None:
    """A driver that is killed outright must not leave simulators eating the machine's memory."""
    file = tmp_path / "s.yaml"
    file.write_text(FULL)
    process = subprocess.Popen(
        [*COMMAND, "sweep", str(file), "--out", str(tmp_path / "run")], stderr=subprocess.DEVNULL
    )
    driver, orphans = psutil.Process(process.pid), []
    for _ in range(300):
        time.sleep(0.2)
        orphans = processes_of(driver, "worker")
        if orphans:
            break
    assert orphans, "no worker ever started"
    family = driver.children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for _ in range(300):
        alive = [p for p in family if holds_memory(p)]
        if not alive:
            return
        time.sleep(0.2)
    for survivor in alive:
        survivor.kill()
    pytest.fail(f"still running a minute after their driver: {alive}")


def holds_memory(process: psutil.Process) -> bool:
    """Alive, and not one of Ray's two small agents, which may take minutes to miss their parent."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.name().startswith(("ray::Simul", "ray::Policy", "raylet", "gcs_server"))
    except psutil.NoSuchProcess:
        return False
