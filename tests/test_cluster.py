"""A sweep on a cluster of several nodes gives the table of one machine, whatever is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import yaml

from tests.running import COMMAND, episodes_csv
from tests.test_admission import content, placed, sweep, variant  # noqa: F401
from wambench.store import Store

# Nodes of one machine; commands: "kill" the last node but the head at once.
NODES = """
import logging, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
others = [cluster.add_node(num_cpus=1, num_gpus=1) for _ in range(2)]
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(others.pop(), allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


class Nodes:
    """A running cluster: a head without GPU, and two nodes that declare one."""

    def __init__(self, commands: IO[str], answers: IO[str]) -> None:
        self._commands, self._answers = commands, answers
        self.address = self._answers.readline().strip()

    def kill_one(self) -> None:
        """End a node with a GPU, with all that runs on it."""
        self._commands.write("kill\n")
        self._commands.flush()
        assert self._answers.readline() == "killed\n"


@contextmanager
def nodes() -> Iterator[Nodes]:
    with subprocess.Popen(
        [sys.executable, "-c", NODES], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as server:  # fmt: skip
        assert server.stdin and server.stdout
        yield Nodes(server.stdin, server.stdout)
        server.stdin.close()


@pytest.mark.slow
@pytest.mark.usefixtures("placed")
def test_a_node_lost_in_mid_sweep_changes_no_byte(tmp_path: Path) -> None:
    """Two policies with a GPU each; when its node has gone, they take turns on the other's."""
    gpus = [
        {"name": "on-gpu", "label": f"g{n}", "options": {"pull": n / 10, "seconds": 0.3}}
        for n in (1, 2)
    ]
    what = content([*gpus, variant(3, seconds=0.3)], init_states="0-4")
    alone = sweep(tmp_path / "s.yaml", what, tmp_path / "alone", "--gpus", 2, "--workers", 2)
    assert alone.returncode == 0, alone.stderr
    out = tmp_path / "cluster"
    with nodes() as cluster:
        process = subprocess.Popen(
            [*COMMAND, "sweep", str(tmp_path / "s.yaml"), "--out", str(out), "--workers", "2",
             "--ray-address", cluster.address, "--stall-seconds", "30"],
            stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"},
        )  # fmt: skip
        known = 0
        while known < 4 and process.poll() is None:
            time.sleep(0.2)
            if (out / "run.sqlite").exists():
                with Store.read(out) as store:
                    known = len(store.known())
        assert known < 30, "it must be killed in the middle"
        cluster.kill_one()
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "nodes have gone" in errors and "in turns" not in errors.split("nodes have gone")[0]
    assert episodes_csv(out) == episodes_csv(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.usefixtures("placed")
def test_a_cluster_without_enough_is_refused(tmp_path: Path) -> None:
    big = {"name": "on-gpu", "num_gpus": 2}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content([big])))
    with nodes() as cluster:
        result = sweep(
            tmp_path / "s.yaml", content([big]), tmp_path / "run", "--ray-address", cluster.address
        )
    assert result.returncode == 2
    assert "policy 'on-gpu' needs 2 GPUs, the largest node has 1 GPU" in result.stderr
