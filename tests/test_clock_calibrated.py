"""The paying clock against this machine's own: two nano policies that take their time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from analysis.pairing import by_policy, common
from analysis.statistics import paired
from tests.conftest import Install
from tests.running import sweep, wambench
from wambench import plugins
from wambench.store import Store

SLEEPY = """
import time
from baselines.nano.config import NANO
from baselines.nano.policy import NanoOptions, NanoPolicy

class Sleepy(NanoPolicy):
    def __init__(self, preset, seconds):
        super().__init__(NANO[preset], NanoOptions())
        self._seconds = seconds

    def act(self, observations):
        time.sleep(self._seconds)
        return super().act(observations)

def doze():
    return Sleepy("nano-pi0", 0.06)

def sleep():
    return Sleepy("nano-imagewam", 0.15)
"""
SLEEP_MS = {"doze": 60.0, "sleep": 150.0}
HZ = 20


def charges(run: Path) -> dict[str, tuple[float, float]]:
    """Policy -> mean steps charged for a decision, and the fewest."""
    found: dict[str, list[float]] = {}
    with Store.read(run) as store:
        kept = store.measurements("clock/")
        for known in store.cells():
            label = store.policies()[known.cell.policy][0].name
            found.setdefault(label, []).extend(kept[known.cell.key]["clock/charged_steps"])
    return {label: (float(np.mean(steps)), min(steps)) for label, steps in found.items()}


@pytest.mark.slow
def test_the_paying_clock_agrees_with_the_wall_clock_on_its_record(
    install: Install, tmp_path: Path, sample: bool
) -> None:
    """A record of this machine, made apart from the episodes, foretells what they are charged.

    And what becomes of them: the paired difference of successes holds 0. A clock that charged
    nothing would charge at least two and three steps too few.
    """
    install(
        "sleepy",
        {"sleepy.py": SLEEPY},
        {plugins.POLICIES: {name: f"sleepy:{name}" for name in SLEEP_MS}},
    )
    records = tmp_path / "records"
    ended = wambench(
        "audit", "latency", *SLEEP_MS, "--quick", "--scope", "policy", "--out", records
    )
    assert ended.returncode == 0, ended.stderr
    file: dict[str, Any] = {
        "protocol": "nano-1",
        "policies": list(SLEEP_MS),
        "suites": {"libero_object": [0, 1] if sample else "0-9"},
        "init_states": 30 if sample else "30-31",
        "rules": ["continue"],
    }
    budget = {"max_steps": {"libero_object": 160}}
    measured = {
        name: {"measured": str(path)} for name in SLEEP_MS for path in records.glob(f"{name}*.json")
    }
    contents = {
        "wall": {"protocol_changes": {"clock": "wall", **budget}},
        "paying": {"protocol_changes": {"clock": "paying", **budget}, "latency": measured},
    }
    for name, changes in contents.items():
        content = yaml.safe_dump(file | changes)
        sweep(tmp_path / f"{name}.yaml", content, tmp_path / name, "--workers", "1")
    by_wall, by_record = charges(tmp_path / "wall"), charges(tmp_path / "paying")
    for name, ms in SLEEP_MS.items():
        print(f"\n{name}: {by_wall[name][0]:.2f} steps by the wall, {by_record[name][0]:.2f} paid")
        assert min(by_wall[name][1], by_record[name][1]) > ms * HZ / 1000
        assert by_wall[name][0] == pytest.approx(by_record[name][0], abs=1)
        with Store.read(tmp_path / "wall") as wall, Store.read(tmp_path / "paying") as paying:
            ends = [by_policy(run.cells()) for run in (wall, paying)]
        own = [next(table[one] for one in table if one.startswith(f"{name} ")) for table in ends]
        found = paired(common(*own))
        print(f"{found.cells} cells, difference {found.difference} in {found.interval}")
        assert found.interval is not None and found.interval[0] <= 0 <= found.interval[1]
