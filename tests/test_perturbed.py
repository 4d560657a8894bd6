"""Perturbed initial states: told, drawn, paired and stored apart from plain ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import perturbed
from tests.conftest import CommandLine, Install
from wambench import EpisodeStart, Observation, Policy, PolicySpec, plugins, sweepfile
from wambench.cells import noise_seed, simulator_seed
from wambench.episode import run_episode
from wambench.errors import UserError
from wambench.policy_server import LocalClient
from wambench.protocols import protocol
from wambench.store import Store, episodes_frame, merge_runs
from wambench.sweepfile import Plan, Sample, SweepFile
from wambench.sweepfile.choosing import Place, sample

MODULE = (
    Path(perturbed.__file__).read_text().replace("from tests import toy", "import toybench as toy")
)


@pytest.fixture
def suites(install: Install, toy: Any) -> None:
    points = {plugins.SUITES: {"toy_perturbed": "toyperturbed:PerturbedToy"}}
    install("toyperturbed", {"toyperturbed.py": MODULE}, points)


def planned(**content: Any) -> Plan:
    file = {"policies": ["random"], "suites": {"toy_perturbed": "all"}} | content
    return sweepfile.plan(SweepFile.model_validate(file))


@pytest.mark.usefixtures("suites")
def test_all_that_is_not_locked_is_run_and_the_rest_is_named() -> None:
    plan = planned()
    assert [(c.task_index, c.init_state) for c in plan.cells] == [
        (task, state) for task in (0, 1) for state in range(7)
    ]
    # Task 2 is locked whole; of tasks 0 and 1 one state each.
    assert list(plan.notes) == [
        f"toy_perturbed: 10 of 24 initial states are left out: {perturbed.LOCK}"
    ]


@pytest.mark.usefixtures("suites")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"init_states": [7]}, f"toy_perturbed/0 init state 7 is locked: {perturbed.LOCK}"),
        ({"suites": {"toy_perturbed": [2]}}, f"toy_perturbed is locked: {perturbed.LOCK}"),
        ({"init_states": {"sample": 15}}, "15 is more than the 14 initial states that can be run"),
    ],
)
def test_what_cannot_be_run_is_refused(content: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as refused:
        planned(**content)
    assert told in str(refused.value)


@pytest.mark.usefixtures("suites")
def test_of_states_that_are_alike_the_protocol_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite = plugins.make_suite("toy_perturbed")
    alike = [replace(task, alike=True) for task in suite.tasks()]
    monkeypatch.setattr(type(suite), "tasks", lambda self: alike)
    few = planned(protocol_changes={"trials": 3}, suites={"toy_perturbed": [0]})
    assert [cell.init_state for cell in few.cells] == [0, 1, 2]
    every = planned(protocol_changes={"trials": 8}, suites={"toy_perturbed": [0]})
    assert len(every.cells) == 7, "the last one is locked"
    with pytest.raises(UserError, match="init state 8 is out of range"):
        planned(protocol_changes={"trials": 9}, suites={"toy_perturbed": [0]})


@pytest.mark.usefixtures("suites")
def test_a_suite_may_have_initial_states_of_its_own() -> None:
    plan = planned(
        suites={"toy": {"tasks": [0], "init_states": 1}, "toy_perturbed": [0]},
        init_states={"sample": 3, "by": ["axis"]},
    )
    chosen = Counter(cell.suite for cell in plan.cells)
    assert chosen == {"toy": 1, "toy_perturbed": 3}
    assert {(c.suite, c.init_state) for c in plan.cells if c.suite == "toy"} == {("toy", 1)}
    axes = Counter(one.axis for cell in plan.cells if (one := plan.start(cell).factors))
    assert axes["start"] in (1, 2), "four of the seven"


def places(counts: dict[str, int]) -> list[Place]:
    """So many initial states of each axis, of magnitudes 0 to 9 in turns."""
    from wambench import Factors, InitState, Task

    named = tuple(
        InitState(f"{axis}{n}", "go", factors=Factors(axis, "k", float(n % 10), "", "b", "t", 0))
        for axis, count in counts.items()
        for n in range(count)
    )
    task = Task(0, "t", "go", len(named), "", named)
    return [Place("s", task, state) for state in range(len(named))]


@pytest.mark.parametrize("seed", range(20))
def test_samples_are_in_proportion_and_grow(seed: int) -> None:
    everything = places({"camera": 400, "noise": 200, "layout": 100})
    before: set[int] = set()
    for size in (35, 70, 140, 350, 700):
        drawn = sample(Sample(sample=size, by=["axis", "magnitude"], seed=seed), everything)
        assert len(drawn) == size and before <= {place.state for place in drawn}
        before = {place.state for place in drawn}
        factors = [place.task.start(place.state).factors for place in drawn]
        axes = Counter(one.axis for one in factors if one)
        for axis, share in (("camera", 4 / 7), ("noise", 2 / 7), ("layout", 1 / 7)):
            assert abs(axes[axis] - share * size) <= 2.5
        low = sum(one.magnitude < 5 for one in factors if one and one.axis == "camera")
        assert abs(low - size * 2 / 7) <= 2.5
    assert before == set(range(700))


def test_samples_depend_on_their_seed_alone() -> None:
    everything = places({"camera": 50, "noise": 50})
    drawn = {
        seed: [p.state for p in sample(Sample(sample=10, seed=seed), everything)]
        for seed in range(4)
    }
    again = sample(Sample(sample=10, seed=2), everything)
    assert [p.state for p in again] == drawn[2]
    assert len({tuple(states) for states in drawn.values()}) == 4


class Listener(Policy):
    """Notes what it is told and shown."""

    spec = PolicySpec(paradigm="scripted", about="a test", cameras=("agentview",))

    def __init__(self) -> None:
        self.told: list[EpisodeStart] = []
        self.seen: list[Observation] = []

    def load(self) -> None:
        pass

    def reset(self, start: EpisodeStart) -> None:
        self.told.append(start)

    def act(self, observations: Any) -> list[NDArray[np.float64]]:
        self.seen += observations
        return [np.zeros((1, 2)) for _ in observations]


def play(plan: Plan, task: int, state: int) -> Listener:
    cell = next(c for c in plan.cells if (c.task_index, c.init_state) == (task, state))
    suite, policy = plan.suites[cell.suite], Listener()
    setting = replace(plan.setting(cell), policy=policy.spec)
    run_episode(cell, setting, suite.open(suite.tasks()[task], "exact"), LocalClient(policy))
    return policy


@pytest.mark.usefixtures("suites")
def test_the_robot_is_told_what_the_protocol_says() -> None:
    clean, leak = planned(), planned(protocol_changes={"instructions": "as_released"})
    assert play(clean, 0, 0).seen[0].instruction == "please go left"
    assert play(clean, 0, 2).told[0].instruction == "go left"
    assert play(leak, 0, 0).seen[-1].instruction == "go left view 0"
    assert {c.key for c in clean.cells}.isdisjoint(c.key for c in leak.cells)
    # Where both say the same, a cell is the same whoever says it.
    plain = planned(suites={"toy": [0]}, init_states=0)
    released = {"instructions": "as_released"}
    told = planned(suites={"toy": [0]}, init_states=0, protocol_changes=released)
    assert plain.cells[0].key == told.cells[0].key


@pytest.mark.usefixtures("suites")
def test_a_perturbed_cell_differs_from_its_plain_one_in_nothing_else() -> None:
    plan = planned(suites={"toy": {"tasks": [0], "init_states": 1}, "toy_perturbed": [0]})
    plain, noisy = plan.cells[0], next(c for c in plan.cells if c.init_state == 6)
    factors = plan.start(noisy).factors
    assert noise_seed(plain, 3) == noise_seed(noisy, 3, factors) != noise_seed(noisy, 3)
    rules = protocol("vla-eval", {"simulator_seeding": "plus_init_state"})
    assert simulator_seed(rules, 6, factors) == simulator_seed(rules, 1)
    one, other = (play(plan, 0, state) for state in (0, 6))
    assert [s.noise_seed for s in one.seen] == [s.noise_seed for s in other.seen]
    assert one.told[0].noise_seed == other.told[0].noise_seed


@pytest.mark.usefixtures("suites")
def test_only_the_policy_sees_through_the_sensors() -> None:
    plan = planned()
    noisy, clean = play(plan, 0, 6).seen[0].images["agentview"], play(plan, 0, 0).seen[0].images
    assert np.abs(noisy.astype(int) - (255 - clean["agentview"].astype(int))).max() <= 1
    task = plan.tasks["toy_perturbed", 0]
    simulator = plan.suites["toy_perturbed"].open(task, "exact")
    simulator.reset(6, 0)
    assert simulator.draw(simulator.snapshot(), ["agentview"], (8, 8))["agentview"].max() == 255
    assert simulator.draw(simulator.snapshot(), ["agentview"], (8, 8))["agentview"].min() == 0


@pytest.mark.usefixtures("suites")
def test_budgets_are_inherited() -> None:
    suite = plugins.make_suite("toy_perturbed").spec
    assert protocol("wambench-1").budget(suite) == 3
    named = {"toy": 17}
    assert protocol("wambench-1", {"max_steps": named}).budget(suite) == 17
    assert protocol("wambench-1", {"max_steps": {**named, "toy_perturbed": 9}}).budget(suite) == 9


@pytest.mark.usefixtures("suites")
@pytest.mark.parametrize(
    ("update", "changes", "told"),
    [
        ({"grippers": ("raw",)}, {"gripper": "sign"}, "protocol_changes: gripper: raw"),
        ({"render_size": (64, 64)}, {}, "protocol_changes: render_size: [64, 64]"),
    ],
)
def test_protocols_that_make_no_sense_are_refused(
    update: dict[str, Any], changes: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = plugins.make_suite("toy_perturbed")
    monkeypatch.setattr(suite, "spec", suite.spec.model_copy(update=update))
    with pytest.raises(UserError, match="toy_perturbed") as refused:
        planned(protocol_changes=changes)
    assert told in str(refused.value)


@pytest.mark.usefixtures("suites")
def test_factors_are_stored_exported_and_merged(
    wambench: CommandLine, swept: CommandLine, tmp_path: Path
) -> None:
    content = {
        "policies": ["expert"],
        "suites": {"toy": {"tasks": [0], "init_states": 1}, "toy_perturbed": [0, 1]},
        "protocol_changes": {"max_steps": {"toy": 40}},
    }
    run = tmp_path / "run"
    ended = swept(tmp_path / "s.yaml", content, run, "--workers", 1)
    assert ended.code == 0, ended.err
    assert perturbed.LOCK in " ".join(ended.err.split())
    merge_runs([run], tmp_path / "merged")
    for folder in (run, tmp_path / "merged"):
        with Store.read(folder) as store:
            frame, factors = episodes_frame(store), store.factors()
        assert len(factors) == 14 and len(frame) == 15
        plain, varied = (frame[frame.axis.isna()], frame[frame.axis.notna()])
        assert list(plain.suite) == ["toy"] and set(varied.suite) == {"toy_perturbed"}
        late = varied[(varied.axis == "start") & (varied.task_index == 1)]
        assert list(late.magnitude) == [1.0, 2.0, 3.0, 4.0] and set(late.unit) == {"cm"}
        assert set(late.base_suite) == {"toy"} and set(late.base_task) == {"go right"}
        assert set(late.base_state) == {perturbed.BASE_STATE}
        assert (varied.outcome == "success").all()


@pytest.mark.usefixtures("suites")
def test_locks_are_listed(wambench: CommandLine) -> None:
    listed = wambench("suites", "toy_perturbed")
    assert listed.code == 0 and "7 of 8" in listed.out and "0 of 8" in listed.out
    assert "spare" in listed.out
    every = wambench("suites", "--json")
    assert "14 of 24" in every.out and perturbed.LOCK in every.out


def test_a_named_state_counts() -> None:
    from wambench import InitState, Task

    with pytest.raises(ValueError, match="1 named of 2"):
        Task(0, "t", "go", 2, "", (InitState("a", "go"),))
