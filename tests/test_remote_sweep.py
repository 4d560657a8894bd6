"""Sweeps of a policy that another process serves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from websockets.sync.server import ServerConnection

from tests.running import COMMAND, sweep, wambench
from tests.wire_servers import scripted
from wambench.errors import UserError
from wambench.store import Store
from wambench.wire import openpi

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def served(port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``wambench serve`` until it is killed, which is at once."""
    command = [*COMMAND, "serve", *arguments, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and "serving" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def content(init_states: str, tasks: Sequence[int] = (0, 3), **remote: Any) -> str:
    arms = [
        {"name": "nano-pi0", "label": "here"},
        {"name": "remote", "label": "there", "options": remote},
    ]
    plan = {
        "protocol": "nano-1", "protocol_changes": {"max_steps": {"libero_object": 48}},
        "policies": arms, "suites": {"libero_object": list(tasks)}, "init_states": init_states,
    }  # fmt: skip
    return yaml.safe_dump(plan)


def table(run: Path, label: str) -> list[tuple[Any, ...]]:
    with Store.read(run) as store:
        return [
            (*known.cell.place[1:], known.outcome, known.steps, known.final_digest, known.looks)
            for known in store.cells()
            if known.cell.policy == label
        ]


def test_over_the_wire_is_as_in_process_though_the_server_is_killed(
    tmp_path: Path, sample: bool
) -> None:
    """Five times, with two connections and two workers; every lost question is asked again."""
    kills, states, tasks = (1, "40-42", (0,)) if sample else (5, "30-44", (0, 3))
    port, run = free_port(), tmp_path / "run"
    file = tmp_path / "s.yaml"
    file.write_text(content(states, tasks, url=f"openpi://127.0.0.1:{port}", patience=300))
    begun = served(port, "nano-pi0")
    server = begun.__enter__()
    driver = subprocess.Popen(
        [*COMMAND, "sweep", str(file), "--out", str(run), "--workers", "2"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    try:
        for _ in range(kills):
            before = answered(run)
            while answered(run) == before and driver.poll() is None:
                time.sleep(0.3)
            server.send_signal(signal.SIGKILL)
            begun.__exit__(None, None, None)
            begun = served(port, "nano-pi0")
            server = begun.__enter__()
        assert driver.stderr is not None
        errors = driver.stderr.read()
        assert driver.wait() == 0, errors
    finally:
        driver.kill()
        begun.__exit__(None, None, None)
    here, there = table(run, "here"), table(run, "there")
    assert here == there and all(row[4] for row in here)
    with Store.read(run) as store:
        print(f"\n{len(here)} cells each; attempts: {[a['kind'] for a in store.attempts()]}")
        looks = store.measurements("wire_")
    assert len(looks) == len(there), "what every look took is kept"
    shown = wambench("report", run, timeout=300)
    assert shown.returncode == 0, shown.stderr
    assert "Over the wire" in (run / "report.html").read_text()


def answered(run: Path) -> int:
    """Cells of the remote arm that have ended; none in a run that has only begun."""
    try:
        with Store.read(run) as store:
            known = [one for one in store.cells() if one.outcome is not None]
    except UserError:
        return 0
    return sum(one.cell.policy == "there" for one in known)


def test_a_server_that_refuses_everything_ends_the_sweep(tmp_path: Path) -> None:
    """After three first looks, which do not count: once it is mended the same command goes on."""
    mended: list[bool] = []

    def talk(connection: ServerConnection) -> None:
        connection.send(openpi.encode({}))
        for message in connection:
            request = openpi.decode(bytes(message), 1 << 26)
            if not mended and "pick up the alphabet" not in request["prompt"]:
                connection.send("Traceback\nKeyError: 'observation/joint_position'")
                return
            connection.send(openpi.encode({"actions": np.zeros((10, 7))}))

    with scripted(talk) as port:
        url = f"openpi://127.0.0.1:{port}"
        plan = {
            "protocol": "openpi", "protocol_changes": {"max_steps": {"libero_object": 6}},
            "policies": [{"name": "remote", "options": {
                "url": url, "preset": "pi05-libero", "identity": "none@0"}}],
            "suites": {"libero_object": [3]}, "init_states": "0-3",
        }  # fmt: skip
        file, run = tmp_path / "s.yaml", tmp_path / "run"
        file.write_text(yaml.safe_dump(plan))
        stopped = wambench("sweep", file, "--out", run, timeout=300)
        assert stopped.returncode == 2, stopped.stderr
        assert "first 3 episodes all ended at the first look" in stopped.stderr
        assert "KeyError: 'observation/joint_position'" in stopped.stderr
        with Store.read(run) as store:
            assert not store.known()
            assert [one["kind"] for one in store.attempts()] == ["first look"] * 3
        mended.append(True)
        sweep(file, file.read_text(), run)
        with Store.read(run) as store:
            assert len(store.known()) == 4


def test_another_policy_in_its_place_stops_the_sweep(tmp_path: Path, sample: bool) -> None:
    if sample:
        pytest.skip("three minutes; tests/test_remote.py has the policy's side of it")
    port, run = free_port(), tmp_path / "run"
    file = tmp_path / "s.yaml"
    file.write_text(content("0-19", url=f"openpi://127.0.0.1:{port}", patience=300))
    with served(port, "nano-pi0"):
        driver = subprocess.Popen(
            [*COMMAND, "sweep", str(file), "--out", str(run)],
            stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"},
        )  # fmt: skip
        while answered(run) < 2 and driver.poll() is None:
            time.sleep(0.3)
    with served(port, "nano-pi0", "--option", "noise_seed=3"):
        assert driver.stderr is not None
        errors = driver.stderr.read()
    assert driver.wait() == 2, errors
    assert "arithmetic:there" in errors.splitlines()[-1]
