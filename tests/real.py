"""A small real run that several tests read: expert and random on two LIBERO tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import sweep

SMALL_SWEEP = """
policies: [expert, random]
suites: {libero_object: [2, 3]}
init_states: 0-1
protocol_changes: {max_steps: {libero_object: 130}}
"""


@pytest.fixture(scope="session")
def small_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep file of ``small_run``."""
    file = tmp_path_factory.mktemp("small") / "small.yaml"
    file.write_text(SMALL_SWEEP)
    return file


@pytest.fixture(scope="session")
def small_run(small_sweep: Path) -> Path:
    """Eight real episodes, made by two workers in a process with an empty home directory."""
    home, run = small_sweep.parent / "home", small_sweep.parent / "run"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        sweep(small_sweep, SMALL_SWEEP, run, "--workers", "2")
    return run
