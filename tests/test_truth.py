"""Stored episodes are what LIBERO itself would have done, to the last bit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.real import leave_out
from tests.running import sweep
from tests.snippets import in_simulators_process
from wambench.store import Store

# Every kind of scene and goal: groceries, drawers, stoves, microwaves, two-object tasks.
TASKS = {
    "libero_spatial": [0, 4],
    "libero_object": [2, 7],
    "libero_goal": [0, 7],
    "libero_10": [2, 4],
    "libero_90": [4, 40],
}
SAMPLE = {"libero_10": [2]}
AWKWARD = {"libero_goal": [7], "libero_spatial": [4]}


def replay(run: Path, tasks: dict[str, list[int]], folder: Path) -> list[dict]:
    """Replay each task in a process of its own, two at a time."""
    jobs = [(suite, index) for suite, indices in tasks.items() for index in indices]
    running: list[tuple[subprocess.Popen, Path]] = []
    findings: list[dict] = []

    def collect() -> None:
        process, out = running.pop(0)
        assert process.wait(timeout=900) == 0, f"naive replay of {out.stem} failed"
        findings.extend(json.loads(out.read_text()))

    for suite, index in jobs:
        out = folder / f"{suite}-{index}.json"
        command = [sys.executable, "-m", "tests.naive", str(run), suite, str(index), str(out)]
        running.append((subprocess.Popen(command), out))
        if len(running) == 2:
            collect()
    while running:
        collect()
    return findings


def assert_true(findings: list[dict]) -> None:
    for found in findings:
        assert found["states_equal"] == found["states"], found
        assert found["frames_equal"] == found["frames"], found
        expected = found["steps"] if found["outcome"] == "success" else None
        assert found["naive_success_step"] == expected, found


NAIVE = """
import json, sys
from pathlib import Path
from tests.naive import replay_task
print(json.dumps(replay_task(Path(sys.argv[1]), "libero_object", 2)))
"""


def test_one_task_replays_bit_identically(copy: Path) -> None:
    leave_out(copy, "policy = 'demonstrator'")
    findings = in_simulators_process(NAIVE, str(copy))
    assert {found["outcome"] for found in findings} == {"success", "failure"}
    assert sum(found["frames"] for found in findings) > 0
    assert_true(findings)


@pytest.mark.slow
def test_forty_episodes_over_all_suites(tmp_path: Path, sample: bool) -> None:
    """40 episodes, expert and noise, under the protocol with the most awkward seeding too.

    The sample: two episodes, one of each seeding.
    """
    total = []
    scripted = ["noisy-expert"] if sample else ["expert", "noisy-expert"]
    for protocol, tasks, policies, init_states in (
        ("wambench-1", SAMPLE if sample else TASKS, scripted, [0, 11]),
        ("imagewam", {"libero_goal": [7]} if sample else AWKWARD, ["expert"], [2]),
    ):
        run = tmp_path / protocol
        content = {
            "policies": policies,
            "suites": tasks,
            "init_states": init_states[-1:] if sample else init_states,
            "protocol": protocol,
            # A failing episode is as good a proof at half the length.
            "protocol_changes": {"max_steps": dict.fromkeys(TASKS, 250)},
        }
        sweep(tmp_path / f"{protocol}.yaml", yaml.safe_dump(content), run)
        total += replay(run, tasks, tmp_path)
        with Store.read(run) as store:
            assert len(store.known()) == len(store.cells())
    assert_true(total)
    print(f"\n{Counter(found['outcome'] for found in total)}")
    assert len(total) >= (2 if sample else 40)
    assert sum(found["outcome"] == "success" for found in total) >= (1 if sample else 15)
    assert sum(found["frames"] for found in total) >= (4 if sample else 100)
