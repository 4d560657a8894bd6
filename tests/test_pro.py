"""LIBERO-Pro: what the robot is told, which states it starts from, what cannot be run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.libero import bddl
from tasks.libero.pro import SHIFTS, SUITES, Source, _goal_file, _states
from tasks.libero.scenes import benchmark, init_states
from tests.running import in_process
from tests.snippets import called_in_simulators_process
from wambench import EpisodeStart, Observation, Policy, PolicySpec, plugins
from wambench.protocols import protocol
from wambench.sweepfile import Plan, SweepFile, plan

OFFICIAL = [name for name, sources in SUITES.items() if len(sources) == 1]
X, Y = "libero_pro_position_x_object", "libero_pro_position_y_object"
STRAY = "pick_up_the_butter_and_place_it_in_the_basket_35_cm"  # anywhere from 35 to 64 cm


def test_the_sixteen_suites_are_complete() -> None:
    assert len(OFFICIAL) == 16
    for name in OFFICIAL:
        suite, (source,) = plugins.make_suite(name), SUITES[name]
        plain = plugins.make_suite(source.base).tasks()
        assert suite.spec.name == name == f"libero_pro_{source.axis}_{source.base[7:]}"
        for task, origin in zip(suite.tasks(), plain, strict=True):
            assert task.name == origin.name and task.init_states == 50 == len(task.open_states)
            assert len(np.unique(_states(source, task.index), axis=0)) == 50
            factors = {one.factors for one in task.named}
            assert len(factors) == 1
            told = factors.pop()
            assert told and (told.axis, told.base_task) == (source.axis, origin.name)
            assert told.base_state is None and told.magnitude is None
        budget = protocol("wambench-1").budget
        assert budget(suite.spec) == budget(plugins.make_suite(source.base).spec)


def test_listing_imports_no_simulator() -> None:
    loaded = in_process(
        "import sys, json\n"
        "from wambench import plugins\n"
        "plugins.make_suite('libero_pro_task_10').tasks()\n"
        "print(json.dumps([m for m in ('mujoco', 'robosuite', 'torch') if m in sys.modules]))"
    )
    assert loaded == []


def test_states_and_goals_are_pros_own() -> None:
    """Reported: Pro's scenes run with the initial states and sentences of the plain suites."""
    goals = Counter[str]()
    for name in OFFICIAL:
        source = SUITES[name][0]
        for task in plugins.make_suite(name).tasks():
            ours, plain = _states(source, task.index), init_states(source.base, task.index)
            assert ours.shape != plain.shape or not (ours == plain).all(axis=1).any()
            there = plugins.make_suite(source.base).tasks()[task.index]
            assert task.init_states_hash != there.init_states_hash
            files = _goal_file(source, task.index), _plain_file(source, task.index)
            goals[source.axis] += len({file.read_text().split("(:goal")[1] for file in files}) > 1
    assert goals["task"] == 40 and goals["semantic"] == goals["position"] == 0


def _plain_file(source: Source, index: int) -> Any:
    return _goal_file(Source(source.base, source.base, ""), index)


def test_new_sentences_are_told_where_there_are_any() -> None:
    """Of its axes two have new ones; on the others nothing but the objects is another."""
    for name in OFFICIAL:
        source = SUITES[name][0]
        for task in plugins.make_suite(name).tasks():
            there = _plain_file(source, task.index)
            plain, start = benchmark(source.base).get_task(task.index).language, task.start(7)
            new = bddl.sentence(_goal_file(source, task.index)) != bddl.sentence(there)
            assert new == (source.axis in ("semantic", "task"))
            assert start.told("as_released") == plain
            assert (start.told("clean") != plain) == new
            assert start.told("clean") == task.instruction and "(" not in task.instruction


class Listener(Policy):
    """Notes what it is told and shown."""

    spec = PolicySpec(paradigm="scripted", about="a test", cameras=("agentview",))

    def __init__(self) -> None:
        self.told: list[str] = []

    def load(self) -> None:
        pass

    def reset(self, start: EpisodeStart) -> None:
        self.told.append(start.instruction)

    def act(self, observations: Any) -> list[NDArray[np.float64]]:
        self.told += [one.instruction for one in observations]
        assert all(isinstance(one, Observation) for one in observations)
        return [np.zeros((1, 7)) for _ in observations]


def made(suite: str, **content: Any) -> Plan:
    file = {"policies": ["random"], "suites": {suite: [0]}} | content
    return plan(SweepFile.model_validate(file))


def told_to_a_policy(suite: str) -> dict[str, list[str]]:
    """What reaches a policy in a cell, which begins in this suite's own state."""
    from dataclasses import replace

    from wambench.clock import Stopwatch
    from wambench.episode import begin, run_episode
    from wambench.policy_server import LocalClient

    opened, out = plugins.make_suite(suite), {}
    simulator: Any = opened.open(opened.tasks()[0], "lean")
    for instructions in ("clean", "as_released"):
        changes = {"instructions": instructions, "settle_steps": 0, "max_steps": {suite: 1}}
        planned = made(suite, init_states=[3], protocol_changes=changes)
        (cell,), policy = planned.cells, Listener()
        setting = replace(planned.setting(cell), policy=policy.spec)
        begin(cell, setting, simulator, Stopwatch())
        stored = _states(SUITES[suite][0], 0)[3]
        assert (simulator.state()[1 : len(stored)] == stored[1:]).all()
        run_episode(cell, setting, simulator, LocalClient(policy))
        out[instructions] = policy.told
    simulator.close()
    return out


def test_the_new_sentence_reaches_the_policy() -> None:
    """Reported: the semantic and task perturbations never reach the policy."""
    found = called_in_simulators_process(told_to_a_policy, "libero_pro_task_object")
    assert found == {
        "clean": ["Pick the cream cheese and place it in the basket"] * 2,
        "as_released": ["pick up the alphabet soup and place it in the basket"] * 2,
    }


def test_states_are_trials() -> None:
    """The protocol says how many, as in the plain suites that a score is held against."""
    for name, trials in (("wambench-1", 20), ("vla-eval", 50)):
        for suite in ("libero_pro_position_goal", "libero_goal"):
            assert len(made(suite, protocol=name).cells) == trials == protocol(name).trials


def test_shifts_are_told_in_centimetres_and_true() -> None:
    """Reported: the magnitude of "position" is stated nowhere. 0.1 in a file's name is 7 cm."""
    for name, column in ((X, 0), (Y, 1)):
        seen = Counter[float | None]()
        for task in plugins.make_suite(name).tasks():
            if not task.init_states:
                continue
            source, within = SUITES[name][task.index // 10], task.index % 10
            factors = task.named[0].factors
            assert factors and factors.unit == "cm" and factors.kind == "xy"[column]
            seen[factors.magnitude] += 1
            # The object's is the first free joint: behind the time and the robot's nine.
            ours, plain = _states(source, within), init_states(source.base, within)
            moved = 100 * np.abs(ours.mean(axis=0) - plain.mean(axis=0))[10:12]
            assert factors.magnitude is not None and moved[1 - column] < 0.5
            wrong = abs(moved[column] - factors.magnitude) > 0.5
            assert wrong == (name == X and task.name == STRAY), task.name
        assert set(seen) == set(SHIFTS.values())


def test_what_nobody_can_do_is_locked() -> None:
    locks = {
        name: [task.name for task in plugins.make_suite(name).tasks() if task.locked]
        for name in SUITES
    }
    assert {name for name, locked in locks.items() if locked} == {Y}
    assert len(locks[Y]) == 6, locks[Y]
    tasks = [task for task in plugins.make_suite(Y).tasks() if task.locked]
    assert Counter("basket" in task.locked for task in tasks) == {True: 5, False: 1}
    planned = made(Y, suites={Y: "all"})
    assert len(planned.cells) == 44 * protocol("wambench-1").trials


def searches(steps: int) -> list[Any]:
    """How often the expert looks for a grasp of a tin wider than its hand, and how it moves."""
    from tasks.libero.experts import pick_place

    suite = plugins.make_suite("libero_pro_object_object")
    simulator: Any = suite.open(suite.tasks()[0], "lean")
    found, search = [], pick_place.top_grasps
    pick_place.top_grasps = lambda *arguments: found.append(1) or search(*arguments)  # type: ignore[func-returns-value, assignment]
    counts = []
    try:
        simulator.reset(0, 0)
        for _ in range(10):
            simulator.step(np.array(suite.spec.settle_action))
        for push in (0.0, 0.02):
            address = simulator._env.sim.model.get_joint_qpos_addr("bigger_alphabet_soup_1_joint0")
            simulator._env.sim.data._data.qpos[address[0]] += push
            before = len(found)
            start = simulator.proprio(["eef_pos"])["eef_pos"]
            for _ in range(steps):
                simulator.step(simulator.privileged(["expert_action"])["expert_action"])
            moved = float(np.abs(simulator.proprio(["eef_pos"])["eef_pos"] - start).max())
            counts.append([len(found) - before, moved])
    finally:
        pick_place.top_grasps = search
        simulator.close()
    return counts


def test_the_expert_looks_again_only_when_something_has_moved() -> None:
    (first, still), (pushed, _) = called_in_simulators_process(searches, 20)
    assert first == 1 and still < 0.01, "one search, then the hand is held"
    assert 1 <= pushed <= 4, "the tin was pushed: another search, more while it comes to rest"


@pytest.mark.slow
@pytest.mark.usefixtures("full_size_only")
@pytest.mark.parametrize("name", OFFICIAL)
def test_all_tasks_open_unsolved(name: str) -> None:
    assert called_in_simulators_process(solved_at_the_start, name) == [False] * 10


def solved_at_the_start(name: str) -> list[bool]:
    suite, out = plugins.make_suite(name), []
    for task in suite.tasks():
        simulator = suite.open(task, "lean")
        simulator.reset(0, 0)
        for _ in range(10):
            simulator.step(np.array(suite.spec.settle_action))
        out.append(simulator.success())
        simulator.close()
    return out
