"""Demonstrations: what is in the files is what happened, and what a policy will see."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests import running
from tests.conftest import CommandLine, Refused, check_refusal, tree
from tests.real import leave_out, once
from tests.records import make_passport, make_record, plan_and_add
from tests.snippets import in_simulators_process
from wambench import plugins
from wambench.cells import Cell, digest_of
from wambench.protocols import protocol
from wambench.store import Store

LOOK = ("--rendering", "coarse", "--render-size", "96", "--size", "48")


@pytest.fixture(scope="session")
def made(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``run`` holds six real episodes of one task, ``out`` the demonstrator's two of them."""

    def make(folder: Path) -> None:
        run, out = folder / "run", folder / "out"
        shutil.copytree(small_run, run)
        leave_out(run, "task_index = 2")
        ended = running.wambench("demos", run, "--out", out, "--policy", "demonstrator", *LOOK)
        assert ended.returncode == 0, ended.stderr
        assert "2 demonstrations" in ended.stdout and "per 1,000 frames" in ended.stdout

    return once(tmp_path_factory, "demos", make)


@pytest.fixture
def run(made: Path) -> Path:
    return made / "run"


@pytest.fixture
def out(made: Path) -> Path:
    return made / "out"


@pytest.fixture
def file(out: Path) -> Path:
    """Their only file."""
    (found,) = out.rglob("*.hdf5")
    task = plugins.make_suite("libero_object").tasks()[0].name
    assert found.relative_to(out) == Path(f"libero_object/{task}_demo.hdf5")
    return found


def stored(run: Path, policy: str = "demonstrator") -> list:
    with Store.read(run) as store:
        return [
            (known, store.trace(known.cell.key))
            for known in store.cells()
            if known.cell.policy == policy and known.outcome
        ]


def test_layout_is_liberos(file: Path) -> None:
    """LIBERO's own reader goes through the file; names, shapes and types are its writer's."""
    code = "from libero.libero.utils.dataset_utils import get_dataset_info as read; read({!r})"
    ended = subprocess.run(
        [sys.executable, "-c", code.format(str(file))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "total trajectories: 2" in ended.stdout
    assert "language instruction: pick up the alphabet soup" in ended.stdout
    with h5py.File(file) as content:
        assert content.attrs["orientation"] == "opengl"
        assert list(content["data"]) == ["demo_0", "demo_1"]
        assert content["data"].attrs["total"] == sum(
            demo.attrs["num_samples"] for demo in content["data"].values()
        )
        for demo in content["data"].values():
            length = demo.attrs["num_samples"]
            shapes = {"actions": 7, "expert_actions": 7, "robot_states": 9, "states": 110}
            shapes |= {"obs/ee_pos": 3, "obs/ee_ori": 3, "obs/ee_states": 6}
            shapes |= {"obs/gripper_states": 2, "obs/joint_states": 7}
            for name, dim in shapes.items():
                assert demo[name].shape == (length, dim) and demo[name].dtype == np.float64, name
            for name in ("obs/agentview_rgb", "obs/eye_in_hand_rgb"):
                assert demo[name].shape == (length, 48, 48, 3) and demo[name].dtype == np.uint8
            for name in ("rewards", "dones"):
                assert list(demo[name]) == [0] * (length - 1) + [1]


def test_states_and_actions_are_the_stored_ones(run: Path, file: Path) -> None:
    with h5py.File(file) as content:
        for demo, (known, trace) in zip(content["data"].values(), stored(run), strict=True):
            assert known.outcome == "success"
            assert demo.attrs["init_state"] == known.cell.init_state
            assert demo.attrs["seed"] == known.cell.seed
            assert np.array_equal(demo["actions"], trace.actions)
            digests = [hashlib.blake2b(s.tobytes(), digest_size=8).digest() for s in demo["states"]]
            assert [int.from_bytes(d, "little") for d in digests] == list(trace.digests[:-1])


def test_labels_are_the_experts_and_noise_is_only_executed(file: Path) -> None:
    with h5py.File(file) as content:
        for demo in content["data"].values():
            noise = demo["actions"][()] - demo["expert_actions"][()]
            assert (noise[:, -1] == 0).all(), "the gripper is not disturbed"
            small = np.abs(noise[:, :-1]).max(axis=1) < 0.25
            assert 0.02 < np.abs(noise[small][:, :-1]).mean() < 0.08
            assert small.mean() > 0.6


AGAIN = """
import json, sys
from dataclasses import replace
from pathlib import Path
import h5py
import numpy as np
from tasks.libero.demos.recording import Episode, record
from wambench import plugins
from wambench.cells import simulator_seed
from wambench.contract import orient
from wambench.episode import fit_image
from wambench.errors import InfrastructureFailure
from wambench.protocols import protocol
from wambench.store import Store
run, file = map(Path, sys.argv[1:])
look = {"rendering": "coarse", "render_size": (96, 96), "image_size": (48, 48)}
rules = protocol("wambench-1", look)
suite = plugins.make_suite("libero_object")
settle = np.array(suite.spec.settle_action)
with Store.read(run) as store:
    known = [(k.cell, store.trace(k.cell.key)) for k in store.cells() if k.outcome]
simulator = suite.open(suite.tasks()[0], "coarse")
model = simulator._env.sim.model._model
meshes = [getattr(model, n).copy() for n in ("mesh_face", "mesh_facenum", "mesh_facenormal")]
frames, compared = [], 0
with h5py.File(file) as content:
    demos = iter(content["data"].values())
    for cell, trace in known:
        if cell.policy != "demonstrator":
            continue
        obs = next(demos)["obs"]
        simulator.reset(cell.init_state, simulator_seed(rules, cell.init_state))
        for step in range(0, len(trace.actions), 9):
            drawn = simulator.draw(trace.snapshots[step], ["agentview", "wrist"], rules.render_size)
            for camera, name in (("agentview", "agentview_rgb"), ("wrist", "eye_in_hand_rgb")):
                seen = fit_image(drawn[camera], rules)  # rotated by 180 degrees: both axes turned
                frames.append(bool((seen == obs[name][step][::-1, ::-1]).all()))
def replay(cell, trace, **changes):
    episode = replace(Episode(cell, trace.actions, trace.digests), **changes)
    return record(episode, simulator, rules, settle)
cell, trace = next(k for k in known if k[0].policy == "expert")
demo = replay(cell, trace)
problems = []
wrong = trace.digests.copy()
wrong[20] += 1
for changes in ({"digests": wrong}, {"actions": trace.actions[:-1], "digests": trace.digests[:-1]}):
    try:
        replay(cell, trace, **changes)
    except InfrastructureFailure as error:
        problems.append(str(error))
print(json.dumps({
    "frames": frames,
    "labels_equal": bool((demo.expert_actions == trace.actions).all()),
    "steps": len(demo.expert_actions),
    "problems": problems,
    "meshes_kept": all(bool((getattr(model, n) == m).all()) for n, m in
                       zip(("mesh_face", "mesh_facenum", "mesh_facenormal"), meshes)),
}))
"""


def test_frames_are_the_protocols_and_replays_ask_the_expert_as_it_was(
    run: Path, file: Path
) -> None:
    """Frames drawn from the store are the files', and an undisturbed expert labels its actions."""
    found = in_simulators_process(AGAIN, str(run), str(file))
    assert len(found["frames"]) > 40 and all(found["frames"])
    assert found["labels_equal"] and found["steps"] > 50
    assert found["meshes_kept"], "coarse drawing must leave the model as it was"
    tampered, cut = found["problems"]
    assert "the state after 20 steps is not the stored one" in tampered
    assert "the stored success is none" in cut


def test_fewer_frames_are_some_of_the_same_ones(
    run: Path, file: Path, wambench: CommandLine, tmp_path: Path
) -> None:
    sparse = tmp_path / "sparse"
    what = ("demos", run, "--out", sparse, "--policy", "demonstrator", *LOOK, "--max-per-task", 1)
    ended = wambench(*what, "--draw-every", 5, "--json")
    found = json.loads(ended.out)
    assert found["steps"] / 5 <= found["frames"] / 2 < found["steps"] / 5 + 1
    with h5py.File(sparse / file.relative_to(file.parents[1])) as few, h5py.File(file) as all_of:
        assert few.attrs["draw_every"] == 5 and all_of.attrs["draw_every"] == 1
        one, other = few["data/demo_0"], all_of["data/demo_0"]
        assert np.array_equal(one["expert_actions"], other["expert_actions"])
        for name in ("obs/agentview_rgb", "obs/eye_in_hand_rgb"):
            assert np.array_equal(one[name], other[name][::5])
    again = wambench(*what)
    check_refusal(again.code, again.out, again.err, ("--draw-every 5", "another --out"))


def test_same_command_again_does_nothing(run: Path, out: Path, wambench: CommandLine) -> None:
    before = tree(out)
    again = wambench("demos", run, "--out", out, "--policy", "demonstrator", *LOOK, "--json")
    assert json.loads(again.out) == {
        "out": str(out), "files": 1, "known": 1, "written": 0, "lost": []
    }  # fmt: skip
    assert tree(out) == before


def test_other_options_are_refused(
    run: Path, out: Path, wambench: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.init", None)
    before = tree(out)
    same = ("demos", run, "--out", out, *LOOK)
    for arguments, expected in (
        ((*same[:4], "--policy", "demonstrator"), ("--rendering coarse", "--size 48", "--out")),
        ((*same, "--policy", "demonstrator", "--max-per-task", 1), ("episodes", "another --out")),
        ((*same, "--policy", "expert"), ("_demo.hdf5", "another --out")),
        (same, ("--policy is missing", "demonstrator")),
    ):
        ended = wambench(*arguments)
        check_refusal(ended.code, ended.out, ended.err, expected)
    assert tree(out) == before


# -- bad input ---------------------------------------------------------------------------------


def libero_run(
    folder: Path, outcome: str, init_state: int = 0, suite: str = "libero_object"
) -> None:
    """A run of one made-up episode."""
    key = digest_of([suite, outcome, init_state])
    tasks = plugins.make_suite(suite).tasks()
    cell = Cell(key, "p", "wambench-1", suite, 0, tasks[0].name, init_state, 0)
    versions = {f"suite:{suite}": dict(plugins.make_suite(suite).fingerprint())}
    if outcome == "old":
        versions[f"suite:{suite}"]["mujoco"] = "2.3.7"
    rules = protocol("wambench-1").model_dump(mode="json")
    with Store.write(folder, "a test") as store:
        store.set_passport(make_passport(**versions).model_copy(update={"protocol": rules}))
        plan_and_add(store, [cell], [])
        ended = "failure" if outcome == "failure" else "success"
        store.add_episode(make_record(cell, outcome=ended))


BAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "no run": ("gone --out d", ("'gone'", "not a run directory")),
    "no success": ("failed --out d", ("'failed'", "no successful episode")),
    "held out": ("late --out d", ("init states 31", "--held-out")),
    "held-out failure": ("--from lost --out d", ("init states 31", "--held-out")),
    "another suite": ("toys --out d", ("'toy'", "not LIBERO's")),
    "another MuJoCo": ("old --out d", ("mujoco 2.3.7", "install mujoco==2.3.7")),
    "policy": ("good --out d --policy q", ("'q'", "name one of p")),
    "rendering": ("good --out d --rendering leen", ("'leen'", "lean")),
    "sizes": ("good --out d --size 256", ("--render-size 128", "--render-size 256")),
    "size": ("good --out d --size 2", ("--size", "16")),
    "out is a file": ("good --out notes.txt", ("'notes.txt'", "name a folder")),
    "out holds others": ("good --out others", ("x_demo.hdf5", "another --out")),
    "workers": ("good --out d --workers 9999", ("9999", "--workers")),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input(refused: Refused, work: Path, what: str) -> None:
    command, expected = BAD[what]
    libero_run(work / "good", "success")
    libero_run(work / "failed", "failure")
    libero_run(work / "late", "success", init_state=31)
    libero_run(work / "lost", "failure", init_state=31)
    libero_run(work / "old", "old")
    libero_run(work / "toys", "success", suite="toy")
    (work / "notes.txt").write_text("notes")
    (work / "others" / "libero_object").mkdir(parents=True)
    (work / "others" / "libero_object" / "x_demo.hdf5").write_text("no HDF5")
    refused("demos", *command.split(), expected=expected)


# -- faults ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_half_way_it_leaves_no_file_and_goes_on(
    run: Path, out: Path, tmp_path: Path
) -> None:
    command = ["demos", str(run), "--out", str(tmp_path / "d"), "--policy", "demonstrator", *LOOK]
    process = subprocess.Popen([*running.COMMAND, *command], start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("*.part")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.rglob("*.hdf5"))
    ended = running.wambench(*command)
    assert ended.returncode == 0, ended.stderr
    assert content_hash(tmp_path / "d") == content_hash(out), "the same content, whoever wrote it"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
def test_an_episode_that_does_not_replay_is_reported_and_not_written(
    run: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "run"
    shutil.copytree(run, broken)
    _, trace = stored(run)[0]
    trace.digests[7] += 1
    with sqlite3.connect(broken / "run.sqlite") as connection:
        key = stored(run)[0][0].cell.key
        connection.execute("UPDATE episodes SET trace = ? WHERE cell_key = ?", (trace.pack(), key))
    out = tmp_path / "d"
    ended = running.wambench("demos", broken, "--out", out, "--policy", "demonstrator", *LOOK)
    assert ended.returncode == 2 and "infrastructure: libero_object/0" in ended.stderr
    assert "the state after 7 steps" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert [path for path in out.rglob("*") if path.is_file()] == []


def content_hash(folder: Path) -> str:
    (file,) = folder.rglob("*.hdf5")
    with h5py.File(file) as content:
        return str(content.attrs["content_hash"])


def test_merged_details_keep_the_shape_and_give_the_model_back() -> None:
    from tasks import gl

    gl.enable()
    import mujoco

    from tasks.gl.meshes import merged_details

    directions = np.random.default_rng(0).normal(size=(4000, 3))
    ball = 0.05 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    points = " ".join(f"{value:.6f}" for value in ball.ravel())
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><asset><mesh name="ball" vertex="{points}"/></asset></mujoco>'
    )
    names = ("mesh_face", "mesh_facenum", "mesh_facenormal", "mesh_facetexcoord")
    before = {name: getattr(model, name).copy() for name in names}
    with pytest.raises(ZeroDivisionError), merged_details(model, 0.008):
        count = model.mesh_facenum[0]
        assert 100 < count < before["mesh_facenum"][0] / 4
        corners = model.mesh_vert[model.mesh_face[:count]]
        assert np.allclose(np.linalg.norm(corners, axis=2), 0.05, atol=1e-4), "on the ball still"
        assert np.abs(corners.reshape(-1, 3)).max(axis=0).min() > 0.042, "all around it"
        raise ZeroDivisionError
    assert all(np.array_equal(getattr(model, name), before[name]) for name in names)
