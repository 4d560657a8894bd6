"""``wambench demos --from``: the expert takes over where a policy erred."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from baselines.training.data.dataset import open_demos
from tasks.libero.demos.takeover import APART_STEPS, MOST, moments
from tests import running
from tests.conftest import Refused
from tests.real import leave_out, once
from wambench.facts import FINGERS, SCENE, Facts, Goal
from wambench.store import Store

LOOK = ("--rendering", "coarse", "--render-size", "64", "--size", "32")


def facts(opening: float = 0.08, held: bool = False, away: float = 0.3) -> Facts:
    """A moment of a task that wants ``milk`` moved."""
    touching = (FINGERS, "milk") if held else ("milk", SCENE)
    return Facts(
        hand=np.zeros(3),
        opening=opening,
        objects={"milk": np.zeros(3)},
        contacts=frozenset([(min(touching), max(touching))]),
        goals=(Goal("in milk basket", "milk", "basket", False, 0.2, away),),
    )


def test_the_expert_takes_over_when_the_fingers_have_shut_on_nothing() -> None:
    course = [facts()] * 40 + [facts(opening=0.001)] * 30
    assert moments(course) == [40], "once: they stay shut"
    again = [facts()] * 10 + [facts(opening=0.001)]
    assert moments(again * 3) == [10, 21, 32]
    assert moments(again * (MOST + 2)) == moments(again * MOST)


def test_fingers_around_the_thing_have_not_missed_it() -> None:
    held = [facts(opening=0.001, held=True, away=0.0)] * 9
    assert moments([facts()] * 20 + held) == []
    assert moments([facts()] * 20 + held + [facts(opening=0.001)] * 9) == [29], "it slipped away"


def test_moments_are_apart_and_in_the_episode() -> None:
    assert moments([facts(opening=0.001)] * 5) == [0]
    chatter = [facts(opening=0.001), facts()] * 20
    found = moments(chatter)
    assert len(found) == MOST
    assert all(b - a >= APART_STEPS for a, b in itertools.pairwise(found))


@pytest.fixture(scope="session")
def corrected(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``run``: real episodes of one task; ``out``: corrections of those that failed."""

    def make(folder: Path) -> None:
        run, out = folder / "run", folder / "out"
        shutil.copytree(small_run, run)
        leave_out(run, "task_index = 2")
        ended = running.wambench("demos", "--from", run, "--out", out, *LOOK)
        assert ended.returncode == 0, ended.stderr

    return once(tmp_path_factory, "corrected", make)


def test_corrections_begin_in_states_of_the_failed_episodes(corrected: Path) -> None:
    (file,) = (corrected / "out").rglob("*.hdf5")
    with Store.read(corrected / "run") as store, h5py.File(file) as content:
        failed = {c.cell.key: c.cell for c in store.cells() if c.outcome == "failure"}
        assert failed and len(content["data"]), "the fixture lost its failures"
        for demo in content["data"].values():
            cell = failed[demo.attrs["cell"]]
            assert demo.attrs["init_state"] == cell.init_state
            trace = store.trace(cell.key)
            begun = hashlib.blake2b(demo["states"][0].tobytes(), digest_size=8).digest()
            assert int.from_bytes(begun, "little") == trace.digests[demo.attrs["takeover"]]
            assert np.array_equal(demo["actions"], demo["expert_actions"]), "it acts, undisturbed"
            assert demo["rewards"][-1] == 1 and not demo["rewards"][:-1].any()


def test_corrections_are_trained_on_beside_demonstrations(corrected: Path) -> None:
    demos = open_demos(corrected / "out", size=(16, 16))
    with h5py.File(next((corrected / "out").rglob("*.hdf5"))) as content:
        assert len(demos.episodes) == len(content["data"])


def test_the_same_command_again_knows_its_file(corrected: Path) -> None:
    run, out = corrected / "run", corrected / "out"
    ended = running.wambench("demos", "--from", run, "--out", out, *LOOK)
    assert "0 files written, 1 known" in ended.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--out new", ("name one run",)),
        ("{run} --from {run} --out new", ("name one run",)),
        ("--from {run} --policy nobody --out new", ("no policy 'nobody'", "name one of")),
        ("--from {run} --policy expert --out new", ("has no failed episode",)),
    ],
)
def test_bad_input(refused: Refused, corrected: Path, words: str, named: tuple[str, ...]) -> None:
    refused("demos", *words.format(run=corrected / "run").split(), expected=named)
