"""A sweep fits what it is given: in turns, on several processes, or refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.conftest import CommandLine, Install
from tests.real import SharedRay
from tests.running import COMMAND, episodes_csv
from wambench import plugins
from wambench.errors import UserError
from wambench.store import Store
from wambench.sweeping.machine import ray_folder

POLICIES = """
import os, time
import numpy as np
from wambench import Policy, PolicySpec

class Base(Policy):
    spec = PolicySpec(paradigm="scripted", track="scripted", about="a test", horizon=4)
    def __init__(self, pull=0.5, seconds=0.0, load_seconds=0.0, breaks=False):
        self.pull, self.seconds, self.load_seconds = pull, seconds, load_seconds
        self.breaks = breaks
    def load(self):
        time.sleep(self.load_seconds)
        if self.breaks:
            raise RuntimeError("no such weights")
    def act(self, observations):
        time.sleep(self.seconds)
        return [np.full((4, 2), self.pull)] * len(observations)

class OnGpu(Base):
    spec = Base.spec.model_copy(update={"num_gpus": 1.0})
"""
ENTRIES = {plugins.POLICIES: {"plain": "placed:Base", "on-gpu": "placed:OnGpu"}}
TURNS = ("--memory-gb", 2.0)  # two scripted policies beside Ray and a simulator


@pytest.fixture
def placed(toy: object, install: Install) -> None:
    install("placed", {"placed.py": POLICIES}, ENTRIES)


def content(policies: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "policies": policies, "suites": {"toy": [0, 1]}, "init_states": "0-1",
        "protocol_changes": {"max_steps": {"toy": 8}},
    } | more  # fmt: skip


def variant(number: int, **options: Any) -> dict[str, Any]:
    return {"name": "plain", "label": f"p{number}", "options": {"pull": number / 10} | options}


def sweep(
    file: Path, what: Mapping[str, Any], out: Path, *options: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    file.write_text(yaml.safe_dump(dict(what)))
    return subprocess.run(
        [*COMMAND, "sweep", str(file), "--out", str(out), *map(str, options)],
        capture_output=True, text=True, timeout=240, check=False, env=os.environ | environment,
    )  # fmt: skip


@contextmanager
def most_processes(name: str) -> Iterator[list[int]]:
    """How many processes of a Ray actor there were at once, in the end."""
    seen, over = [0], threading.Event()

    def count() -> None:
        while not over.wait(0.05):
            titles = []
            for process in psutil.process_iter():
                try:
                    titles.append(process.cmdline()[:1])
                except psutil.Error:
                    continue
            seen[0] = max(seen[0], sum(title[0].startswith(name) for title in titles if title))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.usefixtures("placed")
def test_two_policies_share_the_one_gpu_in_turns(tmp_path: Path) -> None:
    """The GPU is pretended; neither needs it. A third policy brings its own half GPUs."""
    gpus = [{"name": "on-gpu", "label": f"g{n}", "options": {"pull": n / 10}} for n in (1, 2)]
    half = {"name": "plain", "label": "halves", "num_gpus": 0.5, "replicas": "auto"}
    result = sweep(
        tmp_path / "s.yaml", content([*gpus, half]), tmp_path / "run",
        "--gpus", 1, "--workers", 2, "--wait-seconds", 60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "3 policies do not fit at once: 1, 1, 1 in turns" in result.stderr
    with Store.read(tmp_path / "run") as store:
        assert len(store.known()) == 12 and not list(store.attempts())


@pytest.mark.usefixtures("placed")
def test_what_can_never_run_is_refused_before_a_run_is_made(
    tmp_path: Path, wambench: CommandLine
) -> None:
    file, out = tmp_path / "s.yaml", tmp_path / "run"
    file.write_text(yaml.safe_dump(content(["plain", "on-gpu"])))
    for options in ((), ("--dry-run",)):
        ended = wambench("sweep", file, "--out", out, "--gpus", 0, *options)
        assert ended.code == 2 and ended.err.count("\n") == 1
        assert "policy 'on-gpu' needs 1 GPU, this machine has no GPU; run it where" in ended.err
    ended = wambench("sweep", file, "--out", out, "--gpus", 1, "--memory-gb", 1)
    assert ended.code == 2 and "not enough memory: policy 'plain' needs 150 MiB" in ended.err
    assert not out.exists()


@pytest.mark.usefixtures("placed")
def test_the_dry_run_says_what_is_needed_and_when(tmp_path: Path, wambench: CommandLine) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(content([variant(n) for n in range(4)])))
    ended = wambench("sweep", file, "--out", tmp_path / "run", "--dry-run", "--workers", 1, *TURNS)
    assert ended.code == 0, ended.err
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["p1", "1", "150", "0", "1"] in rows and ["p2", "1", "150", "0", "2"] in rows
    assert ["simulator", "1", "100", "0", "all"] in rows
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("placed")
def test_turns_and_replicas_change_nothing(tmp_path: Path, swept: CommandLine) -> None:
    """Seven policies in the memory of two, one of them twice, as all of them at once."""
    policies = [variant(n) for n in range(7)]
    all_at_once = tmp_path / "all"
    assert swept(tmp_path / "all.yaml", content(policies), all_at_once).code == 0
    with most_processes("ray::PolicyActor") as before:
        time.sleep(0.3)
    policies[3] = policies[3] | {"replicas": 2}
    with most_processes("ray::PolicyActor") as most:
        result = sweep(
            tmp_path / "turns.yaml", content(policies), tmp_path / "turns", "--workers", 1, *TURNS
        )
    assert result.returncode == 0, result.stderr
    assert most[0] < before[0] + 7, "some of them may be ending"
    assert episodes_csv(tmp_path / "turns") == episodes_csv(all_at_once)


@pytest.mark.usefixtures("placed")
def test_a_policy_that_fails_to_load_in_its_turn_costs_the_others_nothing(
    tmp_path: Path, wambench: CommandLine
) -> None:
    policies = [variant(0), variant(1), variant(2, breaks=True), variant(3)]
    result = sweep(tmp_path / "s.yaml", content(policies), tmp_path / "run", "--workers", 1, *TURNS)
    assert result.returncode == 2, result.stderr
    said = " ".join(result.stderr.split())
    assert "policy 'p2' fails to load: RuntimeError: no such weights; given up" in said
    with Store.read(tmp_path / "run") as store:
        ended = {(known.cell.policy, known.outcome) for known in store.cells()}
        assert {attempt["kind"] for attempt in store.attempts()} == {"policy load"}
    shown = wambench("runs", "show", tmp_path / "run").out
    assert "infrastructure (policy load), 4 times; last: policy 'p2' fails to load" in shown
    assert ended == {("p0", "failure"), ("p1", "failure"), ("p2", None), ("p3", "failure")}


@pytest.mark.usefixtures("placed")
def test_a_sweep_in_which_nothing_moves_says_so_and_ends(
    tmp_path: Path, swept: CommandLine
) -> None:
    policies = [variant(0, load_seconds=600)]
    ended = swept(tmp_path / "s.yaml", content(policies), tmp_path / "run", "--wait-seconds", 20)
    assert ended.code == 2
    line = ended.err.strip().splitlines()[-1]
    assert "nothing has moved for" in line and "waiting for policy 'p0' to load" in line
    assert "raise --wait-seconds" in line


@pytest.mark.usefixtures("placed")
def test_a_place_that_the_cluster_never_gives_is_named(
    tmp_path: Path, swept: CommandLine, shared_ray: SharedRay
) -> None:
    """Somebody else holds every core of the cluster."""
    hog = (
        "import ray, sys, time\n"
        f"ray.init({shared_ray.address!r}, log_to_driver=False)\n"
        "@ray.remote(num_cpus=int(ray.cluster_resources()['CPU']))\n"
        "class Hog:\n    def born(self): return 1\n"
        "hog = Hog.remote(); ray.get(hog.born.remote()); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hog], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        ended = swept(tmp_path / "s.yaml", content([variant(1)]), tmp_path / "run",
                      "--wait-seconds", 6)  # fmt: skip
        holder.communicate("")
    assert ended.code == 2
    assert "waiting for 1 simulator to open: " in ended.err.strip().splitlines()[-1]


@pytest.mark.usefixtures("placed")
def test_rays_memory_monitor_is_named(tmp_path: Path) -> None:
    result = sweep(
        tmp_path / "s.yaml", content([variant(1)]), tmp_path / "run",
        RAY_memory_usage_threshold="0.001",
    )  # fmt: skip
    assert result.returncode == 2
    assert "memory is used, and Ray's memory monitor ends every process above 0 %" in result.stderr
    assert "set RAY_memory_usage_threshold higher" in result.stderr


@pytest.mark.usefixtures("placed")
def test_a_long_temporary_folder_is_gone_round(tmp_path: Path) -> None:
    """The paths of sockets end after 107 bytes, and Ray keeps them there."""
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    result = sweep(tmp_path / "s.yaml", content([variant(1)]), tmp_path / "run", TMPDIR=str(folder))
    assert result.returncode == 0, result.stderr


def test_no_short_folder_at_all_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * 60)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match=r"too long for Ray's sockets .* set RAY_TMPDIR"):
        ray_folder()


@pytest.mark.usefixtures("placed")
def test_a_sweep_of_nothing_but_policy_errors_is_no_success(
    tmp_path: Path, install: Install, swept: CommandLine, wambench: CommandLine
) -> None:
    raises = POLICIES.replace("time.sleep(self.seconds)", "raise KeyError('norm_stats')")
    install("other", {"raising.py": raises}, {plugins.POLICIES: {"raising": "raising:Base"}})
    ended = swept(tmp_path / "s.yaml", content(["plain", "raising"]), tmp_path / "run")
    assert ended.code == 2
    last = ended.err.strip().splitlines()[-1]
    assert "policy 'raising' broke its contract in all 4 episodes on toy" in last
    shown = wambench("runs", "show", tmp_path / "run").out
    assert "policy error of raising, 4 episodes: policy raised KeyError: 'norm_stats'" in shown
