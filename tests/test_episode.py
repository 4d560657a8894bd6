"""The episode loop, on a simulator that knows nothing of LIBERO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from baselines.scripted import ExpertPolicy, FrozenPolicy
from tests.toy import SPEC, ToySimulator, ToySuite
from wambench import EpisodeStart, Observation, Policy, PolicySpec
from wambench.cells import CellMaker, PolicyChoice
from wambench.episode import EpisodeRecord, Setting, run_episode
from wambench.policy_server import LocalClient
from wambench.protocols import Protocol, protocol
from wambench.trace import Trace

RULES = protocol("wambench-1", {"settle_steps": 5, "replan_steps": 3, "image_size": [16, 16]})


def rules(**changes: Any) -> Protocol:
    return RULES.model_copy(update=changes)


def play(
    policy: Policy,
    rules: Protocol = RULES,
    *,
    task: int = 0,
    init_state: int = 0,
    simulator: ToySimulator | None = None,
    suite: ToySuite | None = None,
) -> EpisodeRecord:
    """Run one cell of the toy suite."""
    suite = suite or ToySuite()
    chosen = suite.tasks()[task]
    cell = CellMaker(PolicyChoice("p", "p"), policy, rules, suite).make(chosen, init_state, 0)
    setting = Setting(rules, suite.spec, policy.spec, chosen.start(init_state))
    return run_episode(cell, setting, simulator or ToySimulator(chosen), LocalClient(policy))


class Recorder(Policy):
    """Answers with what ``answer`` returns and notes all it is told."""

    def __init__(
        self, answer: Callable[[Observation], Any] = lambda seen: np.zeros((8, 2)), **spec: Any
    ) -> None:
        needs: dict[str, Any] = {"paradigm": "scripted", "about": "a test's", "horizon": 8}
        self.spec = PolicySpec(**needs | spec)
        self._answer = answer
        self.starts: list[EpisodeStart] = []
        self.seen: list[Observation] = []
        self.forgotten: list[str] = []

    def reset(self, start: EpisodeStart) -> None:
        self.starts.append(start)

    def act(self, observations: Sequence[Observation]) -> Any:
        self.seen += observations
        return [self._answer(seen) for seen in observations]

    def forget(self, episode: str) -> None:
        self.forgotten.append(episode)


def walk(actions: int, **spec: Any) -> Recorder:
    """Walks left at full speed, in chunks of ``actions``."""
    return Recorder(lambda seen: np.tile([-1.0, -1.0], (actions, 1)), **spec)


def test_expert_wins_and_frozen_spends_its_budget() -> None:
    won, lost = play(ExpertPolicy(), task=2), play(FrozenPolicy(), task=2)
    assert (won.outcome, lost.outcome) == ("success", "failure")
    assert won.steps < lost.steps == RULES.budget(SPEC) == 40


def test_steps_and_budget_count_from_after_settling() -> None:
    simulator, policy = ToySimulator(ToySuite().tasks()[0]), Recorder()
    record = play(policy, rules(max_steps={"toy": 7}), simulator=simulator)
    assert (record.steps, simulator.steps) == (7, 12)
    assert [seen.step for seen in policy.seen] == [0, 3, 6]
    trace = record.trace
    assert (len(trace.actions), len(trace.snapshots), len(trace.digests)) == (7, 8, 8)
    fresh = ToySimulator(ToySuite().tasks()[0])
    fresh.reset(0, 0)
    for _ in range(5):
        fresh.step(np.array(SPEC.settle_action))
    assert trace.digests[0] == fresh.digest(), "the trace begins after settling"
    assert np.array_equal(trace.snapshots[0], fresh.snapshot())


@pytest.mark.parametrize(
    ("protocol_says", "policy_says", "chunk", "expected"),
    [
        (3, None, 8, [0, 3, 6, 9]),
        (3, 5, 8, [0, 3, 6, 9]),  # the protocol has the say
        (None, 5, 8, [0, 5, 10]),
        (None, None, 8, [0, 8]),
        (3, None, 2, [0, 2, 4, 6, 8, 10]),  # a shorter chunk is played to its end
        (20, None, 8, [0, 8]),
    ],
)
def test_when_the_policy_is_asked(
    protocol_says: int | None, policy_says: int | None, chunk: int, expected: list[int]
) -> None:
    policy = Recorder(lambda seen: np.zeros((chunk, 2)), replan_steps=policy_says)
    record = play(policy, rules(replan_steps=protocol_says, max_steps={"toy": 12}))
    assert [seen.step for seen in policy.seen] == expected
    assert record.looks == len(expected)


def test_success_on_the_last_step_counts_and_one_less_does_not() -> None:
    needed = play(walk(1), rules(max_steps={"toy": 40})).steps
    assert 1 < needed < 40
    for budget, outcome in ((needed, "success"), (needed - 1, "failure")):
        record = play(walk(8), rules(max_steps={"toy": budget}))
        assert (record.outcome, record.steps) == (outcome, budget)


def test_success_ends_the_episode_within_a_chunk() -> None:
    record = play(walk(8), rules(replan_steps=5))
    assert record.outcome == "success" and record.steps == len(record.trace.actions)
    assert record.steps % 5, "else this proves nothing"


def test_frames_are_drawn_only_when_the_policy_looks() -> None:
    task = ToySuite().tasks()[0]
    blind, looking = ToySimulator(task), ToySimulator(task)
    assert play(Recorder(), simulator=blind).looks == 14 and blind.looks == []
    policy = Recorder(cameras=("agentview",), proprio=("position",))
    record = play(policy, simulator=looking)
    assert looking.looks == [("agentview",)] * record.looks
    assert record.outcome == "failure" and record.steps == 40 and record.looks == 14
    assert set(policy.seen[0].images) == {"agentview"} and set(policy.seen[0].proprio) == {
        "position"
    }
    assert policy.seen[0].privileged == {}


@pytest.mark.parametrize(
    ("orientation", "lit"), [("upright", "top"), ("opengl", "bottom"), ("rotated_180", "top")]
)
def test_images_come_in_the_protocols_size_and_orientation(orientation: str, lit: str) -> None:
    policy = Recorder(cameras=("agentview",))
    play(policy, rules(orientation=orientation, image_size=(16, 24), render_size=(64, 96)))
    image = policy.seen[0].images["agentview"]
    assert (image.shape, image.dtype) == ((16, 24, 3), np.uint8)
    top, bottom = image[:8].sum(), image[8:].sum()
    assert (top > 9 * bottom, bottom > 9 * top) == (lit == "top", lit == "bottom")
    goal_on_the_left = image[:, :12, 1].sum() > image[:, 12:, 1].sum()
    assert goal_on_the_left == (orientation != "rotated_180")


def test_policy_is_told_what_it_needs_once_per_episode() -> None:
    policy = Recorder()
    record = play(policy, task=1, init_state=3)
    (start,) = policy.starts
    assert (start.task, start.instruction, start.init_state) == ("go right", "go right", 3)
    assert start.action == SPEC.action and start.episode == record.cell.key
    assert policy.forgotten == [record.cell.key]
    seeds = {start.noise_seed, *(seen.noise_seed for seen in policy.seen)}
    assert len(seeds) == 1 + record.looks


class RefusesReset(Recorder):
    def reset(self, start: EpisodeStart) -> None:
        raise ValueError("never heard\nof this task")


def at(step: int, then: Callable[[], Any]) -> Recorder:
    """Zeros until the policy is asked at ``step``."""
    return Recorder(lambda seen: then() if seen.step == step else np.zeros((8, 2)))


@pytest.mark.parametrize(
    ("policy", "steps", "looks", "expected"),
    [
        (RefusesReset(), 0, 0, "ValueError: never heard of this task"),
        (at(0, lambda: 1 / 0), 0, 1, "ZeroDivisionError"),
        (at(6, lambda: np.full((8, 2), np.nan)), 6, 3, "nan at action 0"),
        (at(6, lambda: np.zeros((9, 2))), 6, 3, "shape (9, 2)"),
        (at(3, lambda: None), 3, 2, "NoneType"),
    ],
    ids=["reset raises", "act raises", "NaN in the third chunk", "too long", "None"],
)
def test_faults_end_the_episode_with_a_record(
    policy: Recorder, steps: int, looks: int, expected: str
) -> None:
    record = play(policy)
    assert (record.outcome, record.steps, record.looks) == ("policy_error", steps, looks)
    assert expected in record.fault and "\n" not in record.fault
    assert policy.forgotten == [record.cell.key]
    back = Trace.unpack(record.trace.pack())
    assert back.actions.shape == (steps, 2) and len(back.digests) == steps + 1


@pytest.mark.parametrize("broken", ["reset", "step", "success", "snapshot", "draw", "proprio"])
def test_simulator_failures_are_not_the_policys(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the simulator is on fire")

    monkeypatch.setattr(ToySimulator, broken, fail)
    with pytest.raises(OSError, match="on fire"):
        play(Recorder(cameras=("agentview",), proprio=("position",)))


GRIPS = np.array([[0.0, -1.0], [0.0, -1e-9], [0.0, -0.0], [0.0, 0.0], [0.0, 0.3], [0.0, 1.7]])


@pytest.mark.parametrize(
    ("rule", "gripper", "expected"),
    [
        ("raw", "negative_opens", [-1.0, -1e-9, 0.0, 0.0, 0.3, 1.0]),
        ("sign", "negative_opens", [-1.0, -1.0, 1.0, 1.0, 1.0, 1.0]),
        ("sign", "none", [-1.0, -1e-9, 0.0, 0.0, 0.3, 1.0]),  # the last dimension is no gripper
    ],
)
def test_gripper_rule(rule: str, gripper: str, expected: list[float]) -> None:
    suite = ToySuite()
    action = SPEC.action.model_copy(update={"gripper": gripper})
    suite.spec = SPEC.model_copy(update={"action": action})
    record = play(Recorder(lambda seen: GRIPS), rules(gripper=rule, replan_steps=6), suite=suite)
    assert record.trace.actions[:6, 1].tolist() == expected


def test_episodes_are_deterministic_and_traces_replay_them() -> None:
    first, second = (play(ExpertPolicy(), task=2, init_state=4) for _ in range(2))
    assert first.trace.pack() == second.trace.pack() and first.steps == second.steps

    def recorded(seen: Observation) -> NDArray[np.float64]:
        return first.trace.actions[seen.step : seen.step + 8]

    again = play(Recorder(recorded), task=2, init_state=4)
    assert again.outcome == "success"
    assert np.array_equal(again.trace.digests, first.trace.digests)


@pytest.mark.parametrize(
    ("seeding", "same"),
    [("each_episode", True), ("once_per_task", False), ("plus_init_state", False)],
)
def test_simulator_seeding_decides_what_later_trials_see(seeding: str, same: bool) -> None:
    chosen = rules(simulator_seeding=seeding)
    goals = [play(Recorder(), chosen, init_state=i).trace.snapshots[0, 1] for i in (0, 1)]
    assert (goals[0] == goals[1]) == same


def test_seconds_are_charged_to_their_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def takes(seconds: float, function: Callable[..., Any]) -> Callable[..., Any]:
        def slowed(*arguments: Any, **named: Any) -> Any:
            nonlocal now
            now += seconds
            return function(*arguments, **named)

        return slowed

    monkeypatch.setattr("wambench.clock.stopwatch.perf_counter", lambda: now)
    for name, cost in {"reset": 1e6, "step": 1, "draw": 100, "proprio": 1e4}.items():
        monkeypatch.setattr(ToySimulator, name, takes(cost, getattr(ToySimulator, name)))
    think = takes(1e8, lambda seen: np.zeros((8, 2)))
    record = play(Recorder(think, cameras=("agentview",), proprio=("position",)))
    looks, steps = record.looks, record.steps + RULES.settle_steps
    expected = {"reset": 1e6, "physics": steps, "render": 100 * looks, "observe": 1e4 * looks}
    expected |= {"policy": 1e8 * looks, "total": sum(expected.values()) + 1e8 * looks}
    assert {stage: spent for stage, spent in record.seconds.items() if spent} == expected


def test_signs_of_life_count_the_steps() -> None:
    policy, suite, steps = Recorder(), ToySuite(), []
    task = suite.tasks()[0]
    cell = CellMaker(PolicyChoice("p", "p"), policy, RULES, suite).make(task, 0, 0)
    setting = Setting(RULES, SPEC, policy.spec, task.start(0))
    run_episode(cell, setting, ToySimulator(task), LocalClient(policy), steps.append)
    assert steps == list(range(40))
