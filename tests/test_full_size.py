"""A published policy at full size through a whole sweep, on the CPU, with random weights."""

from pathlib import Path

import psutil
import pytest

from tests.conftest import CommandLine
from wambench.store import Store

ROOT = Path(__file__).parents[1]
MEMORY_GB = 12  # 7 of weights, a simulator, Ray


@pytest.mark.slow
def test_pi0_takes_two_decisions(wambench: CommandLine, tmp_path: Path, sample: bool) -> None:
    if sample:
        pytest.skip("two minutes with bfloat16 instructions, twenty without: at full size only")
    if psutil.virtual_memory().available / 1e9 < MEMORY_GB:
        pytest.skip(f"less than {MEMORY_GB} GB are free")
    run = tmp_path / "run"
    patience = ("--stall-seconds", "1800", "--wait-seconds", "3600")
    ended = wambench("sweep", ROOT / "sweeps" / "full-size.yaml", "--out", run, *patience)
    assert ended.code == 0, ended.err
    with Store.read(run) as store:
        (stored,) = store.cells()
        assert stored.outcome == "failure", "no task is solved in 20 steps, and nothing broke"
        assert stored.looks == 2
