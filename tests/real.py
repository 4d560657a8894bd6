"""Real runs that many tests read: made once in a session, by whichever worker needs them first."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.running import sweep
from tests.snippets import in_simulators_process
from wambench.store import STORE_NAME

# Ray takes these when it is imported, here and in what is started from here.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

SMALL_SWEEP = """
policies: [expert, demonstrator, random]
suites: {libero_object: [0, 2]}
init_states: 0-1
protocol_changes: {max_steps: {libero_object: 130}}
"""
POISON = "raise SystemExit('torch was imported')"
SERVER = """
import sys
from wambench.sweeping.cluster import LocalRay, ray
cluster = LocalRay(2)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
cluster.stop()
"""


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all workers of a session share; it is theirs to read, not to write."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, made = base / name, base / f"{name}.made"
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed half-way
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve real episodes of two workers, without a torch and with an empty home directory.

    ``small.yaml`` beside it is its sweep, ``home`` the home, ``poison`` what stood in for torch.
    """

    def make(folder: Path) -> None:
        (folder / "home").mkdir()
        (folder / "poison" / "torch").mkdir(parents=True)
        (folder / "poison" / "torch" / "__init__.py").write_text(POISON)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", str(folder / "home"))
            for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):  # a user has none
                patch.delenv(name)
            patch.setenv("PYTHONPATH", str(folder / "poison"), prepend=os.pathsep)
            run = folder / "run"
            sweep(folder / "small.yaml", SMALL_SWEEP, run, "--workers", "2")

    return once(tmp_path_factory, "small", make) / "run"


WATCH = """
import sys
from pathlib import Path
import numpy as np
from tests.recorded import Watcher, record_run
from wambench import plugins
from wambench.protocols import protocol
CHOSEN = ("libero_object", 2, [0, 1], 24), ("libero_spatial", 0, [0], 18)
for name, task, init_states, steps in CHOSEN:
    folder, suite, watcher = Path(sys.argv[1]) / name, plugins.make_suite(name), Watcher()
    sides = {"render_size": [64, 64], "image_size": [64, 64]}
    budget = {"max_steps": {name: steps}, "replan_steps": 1}
    rules = protocol("wambench-1", {"rendering": "lean", **sides, **budget})
    record_run(folder, suite, {"watcher": watcher}, [task], init_states, rules)
    np.savez(folder / "seen.npz", **watcher.seen())
print(0)
"""


@pytest.fixture(scope="session")
def watched_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two short episodes of libero_object and one of libero_spatial, and all that was seen."""

    folder = once(
        tmp_path_factory, "watched", lambda folder: in_simulators_process(WATCH, str(folder))
    )
    return folder / "libero_object", folder / "libero_spatial"


@pytest.fixture
def copy(small_run: Path, tmp_path: Path) -> Path:
    """A copy of ``small_run`` to spoil."""
    (tmp_path / "copy").mkdir()
    shutil.copy(small_run / STORE_NAME, tmp_path / "copy" / STORE_NAME)
    return tmp_path / "copy"


def leave_out(run: Path, which: str) -> None:
    """Forget how some cells ended; ``which``: a condition in SQL on the table of cells."""
    with sqlite3.connect(run / STORE_NAME) as database:
        database.execute(
            f"DELETE FROM episodes WHERE cell_key IN (SELECT key FROM cells WHERE {which})"
        )
    database.close()


@dataclass(frozen=True)
class SharedRay:
    """A Ray for many sweeps; ``link`` lies on the path of its processes."""

    address: str
    link: Path

    def find_packages_in(self, folder: Path) -> None:
        """Let processes that start from now on find what a test has installed."""
        self.link.unlink()
        self.link.symlink_to(folder)


@pytest.fixture(scope="session")
def shared_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRay]:
    """The Ray of this worker's sweeps; it dies with this process.

    Sweeps whose own Ray is what is tested (kills, signals, ``small_run``) start one.
    """
    link = tmp_path_factory.mktemp("shared-ray") / "packages"
    link.symlink_to(tmp_path_factory.mktemp("no-packages"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(link), prepend=os.pathsep)
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    assert server.stdin and server.stdout
    yield SharedRay(server.stdout.readline().strip(), link)
    server.stdin.close()
    server.wait(timeout=60)
