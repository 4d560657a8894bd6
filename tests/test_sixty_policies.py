"""Many policies, half of them learned, on a machine that holds a few at a time."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.running import COMMAND
from wambench.store import Store

NANO = ("imagewam", "fastwam", "fastwam-joint", "fastwam-idm", "pi0", "oft")
MEMORY_GB = 6.0


def policies(of_each: int) -> list[dict[str, Any]]:
    """Six learned and six scripted ones for each of so many."""
    learned = [
        {"name": f"nano-{name}", "label": f"{name}-{seed}", "options": {"untrained": seed}}
        for name in NANO
        for seed in range(of_each)
    ]
    scripted = [
        {"name": "noisy-expert", "label": f"noisy-{n}", "options": {"noise": n / 100}}
        for n in range(6 * of_each)
    ]
    return learned + scripted


def resident_gb(root: psutil.Process) -> float:
    """Memory that a process and all below it hold, 10^9 bytes."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 1e9


@pytest.mark.slow
def test_sixty_policies_finish_within_six_gigabytes(tmp_path: Path, sample: bool) -> None:
    if sample:
        pytest.skip("minutes; tests/test_admission.py has policies that take turns")
    chosen = policies(5)
    file, run = tmp_path / "sixty.yaml", tmp_path / "run"
    file.write_text(
        yaml.safe_dump(
            {
                "policies": chosen, "suites": {"libero_object": [0]}, "init_states": 0,
                "protocol_changes": {"max_steps": {"libero_object": 8}, "image_size": [64, 64]},
            }
        )
    )  # fmt: skip
    command = [*COMMAND, "sweep", str(file), "--out", str(run), "--memory-gb", str(MEMORY_GB)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}
    )
    most = 0.0
    while process.poll() is None:
        most = max(most, resident_gb(psutil.Process(process.pid)))
        time.sleep(0.5)
    assert process.stderr is not None
    errors = process.stderr.read()
    print(f"at most {most:.2f} GB resident\n{errors[:300]}")
    assert process.returncode == 0, errors
    assert f"{len(chosen)} policies do not fit at once" in errors
    with Store.read(run) as store:
        assert len(store.known()) == len(chosen) and not list(store.attempts())
    assert most < MEMORY_GB
