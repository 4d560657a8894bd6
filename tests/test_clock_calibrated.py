"""The paying clock against this machine's own: two nano policies that take their time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from analysis.pairing import by_policy, common
from analysis.statistics import paired
from tests.conftest import Install
from tests.running import sweep
from tests.test_latency_faults import CLEAN
from wambench import plugins
from wambench.store import Store

SLEEPY = """
import time
from baselines.nano.config import NANO
from baselines.nano.options import NanoOptions
from baselines.nano.policy import NanoPolicy

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
STEP_MS = 50.0  # of LIBERO's robot


def charges(run: Path) -> dict[str, list[float]]:
    """Policy -> steps charged for each decision."""
    found: dict[str, list[float]] = {}
    with Store.read(run) as store:
        kept, choices = store.measurements("clock/"), store.policies()
        for known in store.cells():
            own = found.setdefault(choices[known.cell.policy][0].name, [])
            own.extend(kept[known.cell.key]["clock/charged_steps"])
    return found


def record(folder: Path, policy: str, charged: list[float]) -> Path:
    """A latency record of these decisions; a charge stands for the middle of its step."""
    content = CLEAN.model_dump(mode="json") | {"policy": policy, "label": policy}
    times = content["scopes"]["policy"]["warm"]
    times["samples"] = [[(steps - 0.5) * STEP_MS for steps in charged]]
    file = folder / f"{policy}.json"
    file.write_text(json.dumps(content | {"control_hz": 1000 / STEP_MS}))
    return file


@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")
def test_the_paying_clock_agrees_with_the_wall_clock_on_its_own_record(
    install: Install, tmp_path: Path, sample: bool
) -> None:
    """Decisions are charged alike, and episodes end alike: their paired difference holds 0.

    The record is of the wall clock's own decisions: one that was made at another time tells
    how busy the machine was then.
    """
    install(
        "sleepy",
        {"sleepy.py": SLEEPY},
        {plugins.POLICIES: {name: f"sleepy:{name}" for name in SLEEP_MS}},
    )
    file: dict[str, Any] = {
        "protocol": "nano-1",
        "policies": list(SLEEP_MS),
        "suites": {"libero_object": [0, 1] if sample else "0-9"},
        "init_states": 30 if sample else "30-31",
        "rules": ["continue"],
    }

    def played(name: str, **more: Any) -> Path:
        changes = {"clock": name, "max_steps": {"libero_object": 160}}
        content = yaml.safe_dump(file | more | {"protocol_changes": changes})
        sweep(tmp_path / f"{name}.yaml", content, tmp_path / name, "--workers", "1")
        return tmp_path / name

    wall = played("wall")
    by_wall = charges(wall)
    entries = {name: {"measured": str(record(tmp_path, name, by_wall[name]))} for name in SLEEP_MS}
    paying = played("paying", latency=entries)
    by_record = charges(paying)
    with Store.read(wall) as one, Store.read(paying) as other:
        ends = [by_policy(run.cells()) for run in (one, other)]
    for name, ms in SLEEP_MS.items():
        first, second = (float(np.mean(found[name])) for found in (by_wall, by_record))
        print(f"\n{name}: {first:.2f} steps by the wall, {second:.2f} paid")
        assert min(by_wall[name]) > ms / STEP_MS and set(by_record[name]) <= set(by_wall[name])
        assert first == pytest.approx(second, abs=0.5)
        own = [next(table[label] for label in table if label.startswith(name)) for table in ends]
        found = paired(common(*own))
        print(f"{found.cells} cells, difference {found.difference} in {found.interval}")
        assert found.interval is not None and found.interval[0] <= 0 <= found.interval[1]
