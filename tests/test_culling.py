"""What is left out of a frame changes none of its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.snippets import called_in_simulators_process
from wambench import plugins

CAMERAS = ("agentview", "wrist")
SIZES = ((128, 128), (64, 64), (96, 160), (160, 96), (256, 256))
# With a stove, whose face reflects, and without; kitchens, living rooms, studies.
TASKS = [
    ("libero_object", 3), ("libero_spatial", 0), ("libero_goal", 8), ("libero_goal", 3),
    ("libero_10", 2), ("libero_10", 8), ("libero_90", 12), ("libero_90", 40),
    ("libero_90", 58), ("libero_90", 82),
]  # fmt: skip


def differing(suite_name: str, task: int, frames: int) -> tuple[int, int]:
    """Frames that differ from those of a drawer that leaves nothing out, and geoms left out."""
    suite = plugins.make_suite(suite_name)
    simulator: Any = suite.open(suite.tasks()[task], "exact")
    random = np.random.default_rng(task)
    simulator.reset(0, 0)
    snapshot = simulator.snapshot()
    simulator.draw(snapshot, CAMERAS, (64, 64))  # makes the context
    model = simulator._drawer._model
    arm = simulator._env.robots[0]._ref_joint_pos_indexes
    low, high = model.jnt_range[simulator._env.robots[0]._ref_joint_indexes].T
    wrong = left_out = 0
    for number in range(frames // len(CAMERAS)):
        posed = snapshot.copy()
        # The arm anywhere it can go, so that the wrist's camera sees all sides of the scene; things
        # a little off where they were.
        posed[arm] = random.uniform(low, high)
        posed[: model.nq] += random.normal(size=model.nq) * 0.02
        size = SIZES[number % len(SIZES)]
        culling = simulator._drawer._canvas._culling
        seen = simulator.draw(posed, CAMERAS, size)
        for name in ("agentview", "robot0_eye_in_hand"):
            for part in culling.passes(simulator._drawer.scratch, model.camera(name).id, size):
                left_out += int(part.hidden.sum())
        culling._everything = True
        whole = simulator.draw(posed, CAMERAS, size)
        culling._everything = False
        wrong += sum(bool((seen[camera] != whole[camera]).any()) for camera in CAMERAS)
    simulator.close()
    return wrong, left_out


def without_its_mirror() -> bool:
    """Whether a frame changes if the second pass is left out."""
    suite = plugins.make_suite("libero_goal")
    simulator: Any = suite.open(suite.tasks()[8], "exact")
    simulator.reset(0, 0)
    snapshot = simulator.snapshot()
    right = simulator.draw(snapshot, CAMERAS, (128, 128))
    culling = simulator._drawer._canvas._culling
    passes = culling.passes
    culling.passes = lambda *arguments: passes(*arguments)[:1]
    wrong = simulator.draw(snapshot, CAMERAS, (128, 128))
    simulator.close()
    return bool((right["agentview"] != wrong["agentview"]).any())


@pytest.mark.parametrize("task", [TASKS[0], TASKS[2]])
def test_frames_with_and_without_a_mirror_stay_as_they_are(task: tuple[str, int]) -> None:
    wrong, left_out = called_in_simulators_process(differing, *task, 20)
    assert wrong == 0
    assert left_out > 0


@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")  # two of the tasks are tested above
def test_five_hundred_frames_of_all_suites_stay_as_they_are() -> None:
    found = {task: called_in_simulators_process(differing, *task, 52) for task in TASKS}
    assert {task: wrong for task, (wrong, _) in found.items() if wrong} == {}
    assert all(left_out > 0 for _, left_out in found.values())


def test_a_mirror_that_is_left_out_would_be_noticed() -> None:
    """The comparison can fail: without the second pass the stove's face is another."""
    assert called_in_simulators_process(without_its_mirror)
