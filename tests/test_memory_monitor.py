"""Ray's memory monitor ends a process in mid-sweep: the table is that of an undisturbed one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.running import COMMAND, episodes_csv, sweep
from tests.test_kills import known_cells
from wambench.store import Store

CONTENT = """
policies: [random, frozen]
suites: {libero_object: [0, 3]}
init_states: 0-15
protocol_changes: {max_steps: {libero_object: 60}}
"""
SLACK, BEYOND = 0.12, 0.03  # of the memory: for the sweep's growth, and over the threshold
LEAST_FREE_GB = 6.0  # that the machine keeps


HOG = """
import sys
held = b"x" * int(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


def used() -> float:
    """Share of the memory that the monitor counts as used."""
    memory = psutil.virtual_memory()
    return 1 - memory.available / memory.total


@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")  # test_kills.py has processes that die of other causes
def test_a_process_the_monitor_ends_costs_only_time(tmp_path: Path) -> None:
    undisturbed, run = tmp_path / "undisturbed", tmp_path / "ended"
    sweep(tmp_path / "s.yaml", CONTENT, undisturbed)
    total = psutil.virtual_memory().total
    threshold = used() + 5e9 / total + SLACK
    if (1 - threshold - BEYOND) * total < LEAST_FREE_GB * 1e9:
        pytest.skip("too little memory is free to fill some up")
    command = [*COMMAND, "sweep", str(tmp_path / "s.yaml"), "--out", str(run)]
    environment = os.environ | {"RAY_memory_usage_threshold": f"{threshold:.3f}"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while known_cells(run) < 4:
        assert process.poll() is None, "the sweep ended before anything was disturbed"
        time.sleep(0.2)
    size = int((threshold + BEYOND - used()) * total)
    with subprocess.Popen(
        [sys.executable, "-c", HOG, str(size)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as hog:  # fmt: skip
        assert hog.stdout is not None and hog.stdout.readline() == "held\n"
        ended = time.monotonic() + 60
        while not _attempts(run) and process.poll() is None and time.monotonic() < ended:
            time.sleep(0.2)
        hog.communicate("\n")
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0 and "Traceback" not in errors, errors
    print(f"\nattempts {dict(_attempts(run))}")
    assert _attempts(run), "the monitor ended nothing"
    assert episodes_csv(run) == episodes_csv(undisturbed)


def _attempts(run: Path) -> Counter[str]:
    with Store.read(run) as store:
        return Counter(attempt["kind"] for attempt in store.attempts())
