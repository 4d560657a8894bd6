"""Other suites' own loops, unmodified, ask ``wambench serve``: to the bit our own episodes.

Compared is every action that crossed the wire, in its order, with the actions of our own episode
under the protocol of the peer's name: the same policy, suite, task, initial state and seeds, and on
each side a simulator that its own code opened. Our policy is shown what the peer is known to make
of an observation (``tests.peers``): vla-eval rounds the axis-angle to float32; openpi sends 224
pixels, which the server resizes to 64, and tells of no episode, so that noise comes from the bytes
of the question. Those bytes are made of our own frames: one other pixel would be other noise.

vla-eval comes from PyPI. openpi's loop is in no package: WAMBENCH_OPENPI_MAIN must name its file.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.peers import environment, own_episode, relayed
from tests.real import once
from tests.snippets import called_in_simulators_process
from tests.test_wire_openpi import serving  # noqa: F401  (a fixture)
from wambench.wire import openpi, vla_eval
from wambench.wire.limits import SERVER_BYTES

VLA_EVAL = (
    "vla-eval==0.8.0", "jsonargparse", "lazyregistry", "omegaconf", "docstring_parser",
    "typeshed_client", "imageio", "imageio-ffmpeg", "websockets",
)  # fmt: skip
OPENPI = (
    "openpi-client==0.1.2", "tyro", "typeguard", "docstring_parser", "imageio", "imageio-ffmpeg",
    "websockets",
)  # fmt: skip
OPENPI_MAIN = "WAMBENCH_OPENPI_MAIN"
REPLAN = 5  # of a chunk, what openpi's loop executes
STEPS = 120  # of an episode, at most
POLICIES = ("nano-pi0", "nano-imagewam")
SUITES = ("libero_object", "libero_spatial")
Serving = Callable[..., str]


def installed(factory: pytest.TempPathFactory, name: str, packages: Sequence[str]) -> Path:
    """A folder with packages, without what they want beside them; skips where they are not had."""

    def install(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        if subprocess.run([*command, str(folder), *packages], check=False).returncode:
            pytest.skip(f"{packages[0]} cannot be had here")

    return once(factory, name, install)


CONFIG = """
render: cpu
benchmarks:
  - benchmark: "vla_eval.benchmarks.libero.benchmark:LIBEROBenchmark"
    max_tasks: 1
    max_steps: {steps}
    params: {{suite: {suite}, seed: 7}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("policy", POLICIES)
def test_vla_evals_own_libero(
    serving: Serving,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    policy: str,
    suite: str,
    sample: bool,
) -> None:
    """Its own benchmark without a container: a suite's first task, to its end or its budget."""
    if sample and (policy, suite) != (POLICIES[0], SUITES[0]):
        pytest.skip("one policy on one task is the sample")
    steps = 12 if sample else STEPS
    site = installed(tmp_path_factory, "site-vla-eval", VLA_EVAL)
    url = serving(policy, "--protocol", "vla-eval")
    config = tmp_path / "libero.yaml"
    config.write_text(CONFIG.format(suite=suite, steps=steps))

    def command(port: int) -> Sequence[str]:
        words = f"-m vla_eval.cli.main run -c {config} --server-url ws://127.0.0.1:{port}"
        return [sys.executable, *words.split(), "--no-docker", "--no-save", "--yes"]

    asked, told = asyncio.run(
        relayed(url, command, environment(site, tmp_path), tmp_path / "log", lambda asked: False)
    )
    hello, start, *looks, end = (vla_eval.decode(message, SERVER_BYTES) for message in asked)
    greeting, *answers = (vla_eval.decode(message, SERVER_BYTES) for message in told)
    assert (hello.type, greeting.type) == ("hello", "hello")
    assert (start.type, start.payload["task"]["suite"]) == ("episode_start", suite)
    assert "Spec validation passed" in (tmp_path / "log").read_text()
    assert [one.seq for one in answers] == [one.seq for one in looks]
    theirs = np.stack([one.payload["actions"] for one in answers])
    theirs[:, -1] = np.where(theirs[:, -1] < 0, -1.0, 1.0)  # as both do with what came
    outcome, actions = called_in_simulators_process(own_episode, policy, "vla-eval", suite, steps)
    assert np.array_equal(theirs, np.array(actions))
    assert end.payload["metrics"]["success"] == (outcome == "success")


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("policy", POLICIES)
def test_openpis_own_loop(
    serving: Serving,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    policy: str,
    suite: str,
    sample: bool,
) -> None:
    """Its own file, as it is; stopped after a suite's first task, or after so many questions."""
    if sample:
        pytest.skip("vla-eval's is the sample")
    named = os.environ.get(OPENPI_MAIN)
    if not named:
        pytest.skip(
            f"{OPENPI_MAIN} names no file: examples/libero/main.py of "
            "github.com/Physical-Intelligence/openpi, commit 15a9616"
        )
    main, looks = Path(named).resolve(), STEPS // REPLAN
    site = installed(tmp_path_factory, "site-openpi", OPENPI)
    url = serving(policy, "--protocol", "openpi")

    def command(port: int) -> Sequence[str]:
        words = f"--args.host 127.0.0.1 --args.port {port} --args.task-suite-name {suite}"
        return [sys.executable, str(main), *words.split(), "--args.num-trials-per-task", "1"]

    def prompt(question: bytes) -> str:
        return str(openpi.decode(question, SERVER_BYTES)["prompt"])

    def enough(asked: Sequence[bytes]) -> bool:
        return len(asked) > looks or prompt(asked[-1]) != prompt(asked[0])

    asked, told = asyncio.run(
        relayed(url, command, environment(site, tmp_path), tmp_path / "log", enough)
    )
    first = [prompt(question) == prompt(asked[0]) for question in asked[:looks]]
    chunks = [openpi.decode(m, SERVER_BYTES)["actions"] for m in told[1 : 1 + sum(first)]]
    outcome, actions = called_in_simulators_process(own_episode, policy, "openpi", suite, STEPS)
    executed = np.concatenate([chunk[:REPLAN] for chunk in chunks])
    assert np.array_equal(executed[: len(actions)], np.array(actions))
    assert len(executed) - len(actions) in range(REPLAN), "one of them ended before the other"
    if outcome == "success":
        assert "Success: True" in (tmp_path / "log").read_text()
