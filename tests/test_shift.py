"""LIBERO in other lights and on other backgrounds: other pixels, and nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tasks.libero import bddl
from tasks.libero.scenes import goal_file
from tasks.libero.shift.backgrounds import PICTURES, SCENES
from tasks.libero.shift.suite import FIRST, SUITES, ShiftSuite
from tests.running import in_process
from tests.snippets import called_in_simulators_process
from wambench import plugins
from wambench.cells import noise_seed, simulator_seed
from wambench.protocols import protocol
from wambench.sweepfile import SweepFile, plan

CAMERAS, SIZE = ("agentview", "wrist"), (128, 128)
STEP = 8  # of 255: a pixel that changes by so much looks different
SCENES_ONCE = [("spatial", 0), ("object", 0), ("10", 0), ("10", 2), ("10", 5)]  # one of each class


def test_every_suite_has_twenty_variants_of_each_task() -> None:
    assert len(SUITES) == 8
    for name, (axis, base) in SUITES.items():
        suite, plain = plugins.make_suite(name), plugins.make_suite(base).tasks()
        assert isinstance(suite, ShiftSuite) and suite.spec.like == base
        hashes = set()
        for task, origin in zip(suite.tasks(), plain, strict=True):
            assert (task.name, task.instruction) == (origin.name, origin.instruction)
            assert len({one.name for one in task.named}) == task.init_states == 20
            factors = [one.factors for one in task.named if one.factors]
            assert [one.base_state for one in factors] == list(range(30, 50))
            assert {(one.axis, one.base_suite, one.base_task) for one in factors} == {
                (axis, base, origin.name)
            }
            assert all(one.magnitude is not None and one.unit for one in factors)
            hashes |= {task.init_states_hash, origin.init_states_hash}
        assert len(hashes) == 20
        kinds = Counter(one.factors.kind for one in suite.tasks()[0].named if one.factors)
        assert len(kinds) == (6 if axis == "light" else 3), kinds


def test_listing_variants_imports_no_simulator() -> None:
    loaded = in_process(
        "import sys, json\n"
        "from wambench import plugins\n"
        "for name in ('libero_shift_light_10', 'libero_shift_background_10'):\n"
        "    plugins.make_suite(name).tasks()\n"
        "print(json.dumps([m for m in ('mujoco', 'robosuite', 'torch') if m in sys.modules]))"
    )
    assert loaded == []


def test_pictures_are_shipped_and_scenes_known() -> None:
    from tasks.libero import runtime

    shipped = {file.stem for file in runtime.pictures().glob("*.png")}
    assert {picture for pictures in PICTURES.values() for picture in pictures} <= shipped
    for base in ("libero_spatial", "libero_object", "libero_goal", "libero_10"):
        assert all(bddl.problem(goal_file(base, task)) in SCENES for task in range(10))


def test_a_variant_and_its_plain_cell_have_the_same_chances() -> None:
    """A drop is told from run-to-run spread only where the two differ in nothing else."""
    content = {
        "policies": ["random"],
        "suites": {
            "libero_goal": {"tasks": [3], "init_states": 43},
            "libero_shift_light_goal": {"tasks": [3], "init_states": 13},
        },
    }
    made = plan(SweepFile.model_validate(content))
    plain, dimmed = made.cells
    factors, rules = made.start(dimmed).factors, protocol("vla-eval")
    assert noise_seed(plain, 5) == noise_seed(dimmed, 5, factors)
    assert simulator_seed(rules, 43) == simulator_seed(rules, 13, factors)
    assert plain.key != dimmed.key
    for name in ("libero_shift_light_10", "libero_shift_background_10"):
        assert protocol("wambench-1").budget(plugins.make_suite(name).spec) == 700


def compared(name: str, index: int, states: list[int], steps: int) -> dict[str, Any]:
    """What variants change against their plain episodes, under the same random actions."""
    shift = plugins.make_suite(name)
    _, base = SUITES[name]
    suite = plugins.make_suite(base)
    plain: Any = suite.open(suite.tasks()[index], "exact")
    varied: Any = shift.open(shift.tasks()[index], "exact")
    out: dict[str, Any] = {"digests": 0, "regions": True, "changed": {}, "fresh": True}
    for state in states:
        frames = []
        for simulator, start in ((plain, FIRST + state), (varied, state)):
            simulator.reset(start, 7)
            random, digests = np.random.default_rng(state), [simulator.digest()]
            for _ in range(steps):
                simulator.step(random.uniform(-1, 1, 7))
                digests.append(simulator.digest())
            snapshot = simulator.snapshot()
            drawn = simulator.draw(snapshot, CAMERAS, SIZE)
            frames.append((digests, drawn, simulator.regions(snapshot, CAMERAS, SIZE)))
        (one, seen, roles), (other, look, same) = frames
        out["digests"] += sum(a == b for a, b in zip(one, other, strict=True))
        out["regions"] &= all(
            (roles[camera][role] == same[camera][role]).all()
            for camera in CAMERAS
            for role in roles[camera]
        )
        moved = np.abs(seen["agentview"].astype(int) - look["agentview"]).max(axis=2) >= STEP
        out["changed"][state] = float(moved.mean())
        # What was painted over and over is what OpenGL would have been given to begin with, and
        # what is left out of a frame is not missed in any light.
        varied._drawer.close()
        again = varied.draw(snapshot, CAMERAS, SIZE)
        varied._drawer._canvas._culling._everything = True
        whole = varied.draw(snapshot, CAMERAS, SIZE)
        varied._drawer._canvas._culling._everything = False
        for camera in CAMERAS:
            out["fresh"] &= bool((look[camera] == again[camera]).all())
            out["fresh"] &= bool((look[camera] == whole[camera]).all())
    plain.close()
    varied.close()
    return out


def memory(name: str, index: int, first: int, others: list[int]) -> bool:
    """Whether a variant looks after others as it does in a process of its own."""
    suite = plugins.make_suite(name)
    shots = []
    for before in ([], others):
        simulator: Any = suite.open(suite.tasks()[index], "exact")
        for state in before:
            simulator.reset(state, 0)
            simulator.draw(simulator.snapshot(), CAMERAS, SIZE)
        simulator.reset(first, 0)
        shots.append(simulator.draw(simulator.snapshot(), CAMERAS, SIZE))
        simulator.close()
    return all(bool((shots[0][camera] == shots[1][camera]).all()) for camera in CAMERAS)


@pytest.mark.parametrize(
    ("name", "index", "states"),
    [
        ("libero_shift_light_goal", 8, [9, 19]),  # cold, shadows
        ("libero_shift_background_object", 0, [14]),  # floor and walls
    ],
)
def test_pixels_change_and_nothing_else(name: str, index: int, states: list[int]) -> None:
    found = called_in_simulators_process(compared, name, index, states, 6)
    assert found["digests"] == 7 * len(states)
    assert found["regions"] and found["fresh"]
    assert all(share > 0.03 for share in found["changed"].values()), found["changed"]


@pytest.mark.parametrize(("axis", "first"), [("light", 15), ("background", 2)])
def test_variants_leave_nothing_behind(axis: str, first: int) -> None:
    name = f"libero_shift_{axis}_object"
    assert called_in_simulators_process(memory, name, 1, first, [18, 10])


@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")
@pytest.mark.parametrize(("base", "index"), SCENES_ONCE)
@pytest.mark.parametrize("axis", ["light", "background"])
def test_all_variants_of_every_class_of_scenes(axis: str, base: str, index: int) -> None:
    name = f"libero_shift_{axis}_{base}"
    found = called_in_simulators_process(compared, name, index, list(range(20)), 2)
    assert found["digests"] == 60
    assert found["regions"] and found["fresh"]
    assert all(share > 0.03 for share in found["changed"].values()), found["changed"]
