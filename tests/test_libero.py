"""The LIBERO simulator: what it shows, what it keeps, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.libero.simulator import axis_angle
from tasks.libero.suite import ABOUT, LiberoSuite
from tests.running import in_process
from tests.snippets import in_simulators_process


def test_the_five_suites_are_complete() -> None:
    counts = {}
    for name in ABOUT:
        tasks = LiberoSuite(name).tasks()
        counts[name] = len(tasks)
        assert all(task.init_states == 50 for task in tasks)
        assert len({task.init_states_hash for task in tasks}) == len(tasks)
    assert counts == {
        "libero_spatial": 10, "libero_object": 10, "libero_goal": 10, "libero_10": 10,
        "libero_90": 90,
    }  # fmt: skip


def test_listing_tasks_imports_no_simulator() -> None:
    loaded = in_process(
        "import sys, json\n"
        "from tasks.libero import libero_10\n"
        "libero_10().tasks()\n"
        "print(json.dumps([m for m in ('mujoco', 'robosuite', 'torch') if m in sys.modules]))"
    )
    assert loaded == []


LIVE = """
import json
import numpy as np
from tests.naive import CAMERAS, NaiveEnvironment
from wambench import plugins
TASK = 7  # turn on the stove: its burner glows when it is on
naive = NaiveEnvironment("libero_goal", TASK, 256)
suite = plugins.make_suite("libero_goal")
ours = suite.open(suite.tasks()[TASK], "exact")
knob = ours._env.sim.model.get_joint_qpos_addr(ours._env.get_object("flat_stove_1").joints[0])
generator = np.random.default_rng(0)
out = {"frames": [], "proprio": [], "states": [], "glow": []}
kept = []
for init_state, on in ((3, False), (0, True), (1, False)):  # resets: ours soft, LIBERO's hard
    for states in (naive.init_states, ours._init_states):
        states[init_state, 1 + knob] = 1.0 if on else 0.0
    seen = naive.begin(init_state, 0)
    ours.reset(init_state, 0)
    for step in range(9):
        if step:
            action = np.append(generator.uniform(-1, 1, 6), generator.choice([-1.0, 1.0]))
            naive.look = step % 4 == 0
            seen, *_ = naive.env.step(action)
            ours.step(action)
            out["states"].append(bool((naive.state() == ours._env.sim.get_state().flatten()).all()))
        if naive.look:
            drawn = ours.draw(ours.snapshot(), list(CAMERAS), (256, 256))
            kept.append((ours.snapshot(), drawn))
            out["glow"].append(float(ours.snapshot()[-1]) > 0)
            out["frames"] += [
                bool((seen[n][::-1] == drawn[c]).all()) for c, n in CAMERAS.items()
            ]
            read = ours.proprio(["eef_pos", "eef_quat", "gripper_qpos", "joint_pos"])
            out["proprio"] += [bool((seen["robot0_" + n] == v).all()) for n, v in read.items()]
again = [ours.draw(snapshot, list(CAMERAS), (256, 256)) for snapshot, _ in kept]
out["afterwards"] = [
    bool((new[c] == old[c]).all()) for new, (_, old) in zip(again, kept) for c in CAMERAS
]
print(json.dumps(out))
"""


def test_live_frames_proprioception_and_states_equal_liberos_own() -> None:
    """Bit for bit, over soft resets, with random actions, with a stove that is off, on and off."""
    found = in_simulators_process(LIVE)
    assert len(found["states"]) == 24 and all(found["states"])
    assert found["glow"] == [False] * 3 + [True] * 3 + [False] * 3
    assert len(found["frames"]) == 18 and all(found["frames"]), found["frames"]
    assert len(found["proprio"]) == 36 and all(found["proprio"])
    assert len(found["afterwards"]) == 18 and all(found["afterwards"]), "frames drawn afterwards"


SEEDS = """
import json, hashlib
from wambench import plugins
suite = plugins.make_suite("libero_goal")
sim = suite.open(suite.tasks()[0], "exact")
def fixtures(seed, init_state=0, once=False):
    sim.reset(init_state, seed, seed_once_per_task=once)
    return hashlib.md5(sim._env.sim.model.body_pos.tobytes()).hexdigest()
print(json.dumps({"a": fixtures(0), "again": fixtures(0), "b": fixtures(1),
                  "first_trial": fixtures(0, 0, True), "third_trial": fixtures(0, 2, True)}))
"""


def test_seed_moves_fixtures_and_nothing_else_does() -> None:
    found = in_simulators_process(SEEDS)
    assert found["a"] == found["again"] == found["first_trial"]
    assert found["a"] != found["b"]
    assert found["third_trial"] != found["first_trial"], "later trials must draw on"


INTERLEAVED = """
import json
import numpy as np
from wambench import plugins
suite = plugins.make_suite("libero_object")
first = suite.open(suite.tasks()[0], "exact")
first.reset(0, 0)
before = first.draw(first.snapshot(), ["agentview", "wrist"], (96, 128))
second = suite.open(suite.tasks()[1], "lean")
second.reset(0, 0)
other = second.draw(second.snapshot(), ["agentview"], (64, 64))["agentview"]
after = first.draw(first.snapshot(), ["agentview", "wrist"], (96, 128))
large = first.draw(first.snapshot(), ["agentview"], (800, 900))["agentview"]
second.close()
again = first.draw(first.snapshot(), ["agentview", "wrist"], (96, 128))
print(json.dumps({
    "shape": before["wrist"].shape, "large": large.shape, "spread": float(other.std()),
    "same": bool(all((before[c] == after[c]).all() and (before[c] == again[c]).all()
                     for c in before)),
}))
"""


def test_another_open_simulator_cannot_spoil_frames() -> None:
    """Direct rendering into a context that is not current returns garbage without an error."""
    found = in_simulators_process(INTERLEAVED)
    assert found["shape"] == [96, 128, 3] and found["large"] == [800, 900, 3]
    assert found["spread"] > 10
    assert found["same"]


def test_axis_angle_follows_robosuite() -> None:
    import importlib.util

    from tasks import gl
    from tasks.libero import runtime

    gl.enable()
    runtime.simulation_modules()
    assert importlib.util.find_spec("robosuite")
    from robosuite.utils.transform_utils import quat2axisangle

    generator = np.random.default_rng(1)
    for _ in range(50):
        quaternion = generator.normal(size=4)
        quaternion /= np.linalg.norm(quaternion)
        np.testing.assert_allclose(
            axis_angle(quaternion), quat2axisangle(quaternion.copy()), rtol=0, atol=1e-12
        )
    assert (axis_angle(np.array([0.0, 0, 0, 1])) == 0).all()


GROWTH = """
import json, sys
import numpy as np
from wambench import plugins
from wambench.sweeping.worker import rss_mb
suite = plugins.make_suite("libero_spatial")
sim = suite.open(suite.tasks()[0], "exact")
generator = np.random.default_rng(0)
sizes = []
for episode in range(int(sys.argv[1])):
    sim.reset(episode % 50, 0)
    for _ in range(10):
        sim.step(generator.uniform(-1, 1, 7))
    if episode % 4 == 0:
        sim.draw(sim.snapshot(), ["agentview", "wrist"], (128, 128))
    sizes.append(rss_mb())
print(json.dumps({"after_20": sizes[19], "after_all": sizes[-1], "peak": max(sizes)}))
"""


@pytest.mark.slow
def test_memory_does_not_grow_over_200_episodes(sample: bool) -> None:
    """The sample: 80 episodes."""
    found = in_process(GROWTH, "80" if sample else "200")
    print(f"\nsimulator process, MiB: {found}")
    assert found["after_all"] - found["after_20"] < 60, found
    assert found["peak"] < LiberoSuite("libero_spatial").spec.memory_mb, found


def test_nothing_is_written_outside_the_run(small_run: Path) -> None:
    """The sweep behind ``small_run`` had an empty home directory; it must be empty still."""
    home = small_run.parent / "home"
    assert home.is_dir()
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*")) == []


BESIDE_ANOTHER = """
import json
from tests.naive import NaiveEnvironment
from wambench import plugins
naive = NaiveEnvironment("libero_spatial", 0, 64)
suite = plugins.make_suite("libero_spatial")
opened = suite.open(suite.tasks()[0], "exact")
naive.begin(0, 0)
opened.reset(0, 0)
print(json.dumps(bool((naive.state() == opened.state()).all())))
"""


def test_a_scene_that_somebody_else_compiled_before_does_no_harm() -> None:
    """Emptying MuJoCo's cache of assets while it was in use ended the process."""
    assert in_process(BESIDE_ANOTHER)


NO_ROOM = """
import json
import numpy as np
from tests.naive import NaiveEnvironment
from wambench import plugins
naive = NaiveEnvironment("libero_goal", 3, 64)
from robosuite.utils.errors import RandomizationError
from robosuite.utils.placement_samplers import SequentialCompositeSampler
suite = plugins.make_suite("libero_goal")
opened = suite.open(suite.tasks()[3], "exact")
sample, calls, crowded = SequentialCompositeSampler.sample, [], set()

def crowding(self, *args, **kwargs):
    placed = sample(self, *args, **kwargs)  # draws its random numbers
    calls.append(len(placed))
    if len(calls) in crowded:
        raise RandomizationError("Cannot place all objects ):")
    return placed

SequentialCompositeSampler.sample = crowding
naive.begin(1, 0)
found = {}
for failures in (0, 1, 3):
    looks = []
    for begin, env in ((naive.begin, naive.env.env), (opened.reset, opened._env)):
        crowded = {len(calls) + 1 + n for n in range(failures)}
        begin(1, 0)
        state, places = env.sim.get_state().flatten(), env.sim.model.body_pos
        looks.append(np.concatenate([state, places.ravel()]).tobytes().hex())
    found[failures] = looks
print(json.dumps(found))
"""


@pytest.mark.slow
def test_objects_that_find_no_place_are_placed_again_as_by_libero() -> None:
    """Fixtures stand elsewhere then: where LIBERO's own wrapper puts them, to the bit."""
    found = in_process(NO_ROOM)
    for theirs, ours in found.values():
        assert theirs == ours
    assert len({ours for _, ours in found.values()}) == 3
