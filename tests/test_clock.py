"""The paying clock: charged in full, equal to a plain loop written by hand, and calibrated."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import toy
from tests.conftest import CommandLine
from tests.test_latency_faults import CLEAN
from wambench import EpisodeStart, InfrastructureFailure, Observation, Policy, PolicySpec, sweepfile
from wambench.cells import Cell
from wambench.clock import NAMED_RULES, Latency, Pace, Rules, Timing, charged_steps
from wambench.episode import EpisodeRecord, Setting, run_episode
from wambench.errors import UserError
from wambench.policy_server import LocalClient
from wambench.protocols import protocol
from wambench.store import Store, episodes_frame
from wambench.sweepfile import Plan, SweepFile

HORIZON, MEANT = 8, 5
CHANGES = {"settle_steps": 2, "replan_steps": MEANT, "max_steps": {"toy": 60}}
RULES = protocol("wambench-1", CHANGES)
TASK = toy.ToySuite().tasks()[0]
CELL = Cell("cell", "p", RULES.name, "toy", 0, TASK.name, 0, 0)
HZ = toy.SPEC.control_hz

Actions = NDArray[np.float64]


class Wanderer(Policy):
    """Makes up a chunk from what it sees and when: another look, another chunk."""

    spec = PolicySpec(
        paradigm="scripted", about="a test", proprio=("position",), horizon=HORIZON,
        replan_steps=MEANT, inpaints=True,
    )  # fmt: skip

    def __init__(self) -> None:
        self.asked: list[tuple[int, Actions | None]] = []

    def load(self) -> None:
        pass

    def reset(self, start: EpisodeStart) -> None:
        self.asked = []

    def act(self, observations: Sequence[Observation]) -> list[Actions]:
        out = []
        for seen in observations:
            self.asked.append((seen.step, seen.committed))
            random = np.random.default_rng(abs(hash((seen.step, seen.proprio["position"][0]))))
            out.append(random.uniform(-0.2, 0.2, (HORIZON, 2)))
        return out


def play(timing: Timing | None, policy: Policy | None = None) -> tuple[EpisodeRecord, Policy]:
    policy = policy or Wanderer()
    setting = Setting(RULES, toy.SPEC, policy.spec, TASK.start(0), timing)
    return run_episode(CELL, setting, toy.ToySimulator(TASK), LocalClient(policy)), policy


def paying(steps: int, rules: Rules) -> Timing:
    latency = Latency(ms=(steps * 1000 / HZ,))
    return Timing(clock="paying", rule="", rules=rules, latency=latency, policy="p")


def by_hand(rules: Rules, delay: int, budget: int) -> tuple[Actions, list[int]]:
    """The same loop without bookkeeping: actions executed, and the steps at which it asks."""
    simulator, policy = toy.ToySimulator(TASK), Wanderer()
    simulator.reset(0, 0)
    for _ in range(2):
        simulator.step(np.array(toy.SPEC.settle_action))
    done: list[Actions] = []
    asked: list[int] = []
    queue: list[Actions] = []
    rest: list[Actions] = []

    def execute(action: Actions) -> None:
        if len(done) < budget and not (done and simulator.success()):
            simulator.step(action)
            done.append(action)

    while len(done) < budget and not (done and simulator.success()):
        asked.append(len(done))
        where = simulator.proprio(("position",))
        (chunk,) = policy.act([Observation("", len(done), "", 0, {}, where)])
        for _ in range(delay):
            if queue:
                execute(queue.pop(0))
            elif rules.meanwhile == "continue" and rest:
                execute(rest.pop(0))
            elif rules.meanwhile == "repeat" and done:
                execute(done[-1])
            else:
                execute(np.array([0.0, done[-1][1] if done else -1.0]))
        body = list(chunk if rules.arrival == "from_start" else chunk[delay:])
        if rules.arrival == "blend" and delay:
            common = min(len(body), len(old := queue + rest))
            for i, weight in enumerate(np.arange(1, common + 1) / (common + 1)):
                body[i] = (1 - weight) * old[i] + weight * body[i]
        queue, rest = body[:MEANT], body[MEANT:]
        while len(queue) > (delay if rules.asking == "overlap" else 0):
            execute(queue.pop(0))
    return np.array(done), asked


EVERY_RULE = [
    Rules(asking=asking, meanwhile=meanwhile, arrival=arrival)  # type: ignore[arg-type]
    for asking, meanwhile, arrival in itertools.product(
        ("at_end", "overlap"),
        ("hold", "continue", "repeat"),
        ("from_start", "skip_elapsed", "blend", "rtc"),
    )
]


@pytest.mark.parametrize("rules", EVERY_RULE, ids=lambda r: f"{r.asking}-{r.meanwhile}-{r.arrival}")
@pytest.mark.parametrize("delay", [0, 1, 3, 5])
def test_it_is_the_loop_that_one_would_write_by_hand(rules: Rules, delay: int) -> None:
    record, policy = play(paying(delay, rules))
    actions, asked = by_hand(rules, delay, 60)
    assert np.array_equal(record.trace.actions, actions)
    assert [step for step, _ in policy.asked] == asked  # type: ignore[attr-defined]
    assert list(record.measured["clock/asked_step"]) == asked
    assert set(record.measured["clock/charged_steps"]) == {delay}


@pytest.mark.parametrize("rules", EVERY_RULE, ids=lambda r: f"{r.asking}-{r.meanwhile}-{r.arrival}")
def test_without_a_charge_it_is_the_frozen_loop(rules: Rules) -> None:
    frozen, _ = play(None)
    paid, _ = play(paying(0, rules))
    assert paid.trace.pack() == frozen.trace.pack() and paid.outcome == frozen.outcome
    assert frozen.measured == {} and paid.measured["clock/held_steps"] == [0]


@pytest.mark.parametrize("delay", [9, 20])
def test_a_policy_slower_than_its_chunk_never_acts_on_what_is_over(delay: int) -> None:
    record, _ = play(paying(delay, NAMED_RULES["continue"]))
    assert np.array_equal(record.trace.actions[:, 0], np.zeros(60))
    assert record.measured["clock/held_steps"] == [60]


class Capped(Pace):
    """Charges at most two steps, whatever a decision took."""

    def take(self, chunk: Actions, steps: int) -> None:
        super().take(chunk, steps)
        if self._pending is not None:
            self._pending = (self._pending[0], min(self._pending[1], self._now + 2))


@pytest.mark.parametrize("rule", NAMED_RULES)
def test_a_clock_that_caps_instead_of_charging_is_caught(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wambench.episode.Pace", Capped)
    play(paying(2, NAMED_RULES[rule]))
    with pytest.raises(InfrastructureFailure, match="the clock is wrong"):
        play(paying(4, NAMED_RULES[rule]))


@pytest.mark.parametrize(
    ("ms", "steps"),
    [
        (0, (0, 0, 0)), (0.1, (1, 0, 0)), (49.9, (1, 1, 0)), (50, (1, 1, 1)), (60, (2, 1, 1)),
        (75, (2, 2, 1)), (150, (3, 3, 3)), (150.0000001, (3, 3, 3)), (151, (4, 3, 3)),
    ],
)  # fmt: skip
def test_milliseconds_are_rounded_by_a_named_rule(ms: float, steps: tuple[int, int, int]) -> None:
    ways = ("up", "nearest", "down")
    found = tuple(charged_steps(ms, 20, Rules(rounding=way)) for way in ways)  # type: ignore[arg-type]
    assert found == steps


def test_the_policy_is_told_what_is_executed_meanwhile() -> None:
    record, policy = play(paying(3, NAMED_RULES["rtc"]))
    asked: list[tuple[int, Actions | None]] = policy.asked  # type: ignore[attr-defined]
    assert asked[0][1] is None
    for step, committed in asked[1:]:
        assert committed is not None and len(committed) == 3
        executed = record.trace.actions[step : step + 3]
        assert np.array_equal(committed[: len(executed)], executed)
    assert all(told is None for _, told in play(paying(3, NAMED_RULES["overlap"]))[1].asked)  # type: ignore[attr-defined]


def test_samples_are_drawn_by_the_cell_alone() -> None:
    latency = Latency(ms=(100.0, 200.0, 400.0), source="measured")
    timing = replace_latency(paying(1, NAMED_RULES["hold"]), latency)
    one, other = (play(timing)[0] for _ in range(2))
    charges = one.measured["clock/charged_steps"]
    assert set(charges) == {1, 2, 4} and charges == other.measured["clock/charged_steps"]
    moved = replace(CELL, init_state=1)
    setting = Setting(RULES, toy.SPEC, Wanderer.spec, TASK.start(1), timing)
    again = run_episode(moved, setting, toy.ToySimulator(TASK), LocalClient(Wanderer()))
    assert again.measured["clock/charged_steps"] != charges


def replace_latency(timing: Timing, latency: Latency) -> Timing:
    return timing.model_copy(update={"latency": latency})


def test_a_wall_clock_charges_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(0.0, 0.15)  # every look at the watch is 150 ms later
    monkeypatch.setattr("wambench.clock.stopwatch.perf_counter", lambda: next(ticks))
    timing = Timing(clock="wall", rule="hold", rules=Rules(), latency=None, policy="p")
    record, _ = play(timing)
    assert set(record.measured["clock/charged_steps"]) == {2}  # 150 ms at 10 Hz, rounded up


# -- sweep files ------------------------------------------------------------------------------


def planned(toy_suite: Any, **content: Any) -> Plan:
    file: dict[str, Any] = {
        "policies": ["expert", "random"],
        "suites": {"toy": [0]},
        "init_states": 0,
        "protocol_changes": {"clock": "paying", "replan_steps": 2},
    }
    return sweepfile.plan(SweepFile.model_validate(file | content))


def test_a_grid_has_an_arm_for_each_latency_and_rule(toy: Any) -> None:
    plan = planned(toy, latency_ms=[0, 50, 100], rules=["hold", "continue"])
    assert list(plan.choices) == [
        f"{policy} {arm}"
        for policy in ("expert", "random")
        for arm in ("0ms", "50ms hold", "50ms continue", "100ms hold", "100ms continue")
    ]
    assert set(plan.process.values()) == {"expert 0ms", "random 0ms"}
    assert len({cell.key for cell in plan.cells}) == 10
    timing = plan.choices["random 100ms continue"].timing
    assert timing is not None and timing.policy == "random" and timing.rule == "continue"
    frozen = planned(toy, protocol_changes={"replan_steps": 2})
    assert {c.key for c in frozen.cells}.isdisjoint(c.key for c in plan.cells)
    # A key is about milliseconds and rules, not about who says so.
    claimed = planned(toy, latency={"random": {"claimed": "table5/imagewam"}}, latency_ms=[10])
    constant = planned(toy, latency={"random": {"ms": 263}}, latency_ms=[10])
    assert len(claimed.cells) == 3
    source = claimed.choices["random 263ms claimed hold"].timing
    assert source is not None and source.latency is not None
    assert source.latency.about == "Table 5, ImageWAM, NVIDIA A6000"
    assert constant.choices["random 263ms hold"].timing is not None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "policy 'expert' has no latency under a paying clock"),
        ({"latency_ms": [100], "protocol_changes": {}}, "add protocol_changes: {clock: paying}"),
        ({"latency_ms": [10], "protocol_changes": {"clock": "wall"}}, "write clock: paying"),
        ({"latency_ms": [10], "rules": ["holt"]}, "no rule 'holt'; did you mean hold?"),
        ({"latency": {"expart": 5}, "latency_ms": [1]}, "no policy 'expart'"),
        ({"latency_ms": [900], "rules": ["overlap"]}, "expert 900ms overlap: 900 ms are 9 steps"),
        ({"latency_ms": [100], "rules": ["rtc"]}, "'expert' does not offer; choose another rule"),
        ({"latency": {"expert": {"claimed": "table9/x"}}, "latency_ms": [1]}, "no table 'table9'"),
        ({"latency": {"expert": {"claimed": "table5/x"}}, "latency_ms": [1]}, "no row 'x'"),
        (
            {"latency": {"expert": {"measured": "nowhere.json"}}, "latency_ms": [1]},
            "cannot read latency record 'nowhere.json'",
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_impossible_wishes_are_refused(toy: Any, content: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as refused:
        planned(toy, **content)
    assert told in str(refused.value) and "\n" not in str(refused.value)


def test_what_a_grid_cannot_have_is_left_out_and_said(toy: Any) -> None:
    plan = planned(toy, policies=["random"], latency_ms=[100, 900], rules=["hold", "overlap"])
    arms = ["random 100ms hold", "random 100ms overlap", "random 900ms hold"]
    assert list(plan.choices) == arms
    (note,) = plan.notes
    assert note.startswith("left out: random 900ms overlap: 900 ms are 9 steps of toy")


def record_file(folder: Path, **changes: Any) -> Path:
    """A latency record of another time, with these fields."""
    path = folder / "record.json"
    content = CLEAN.model_dump(mode="json") | changes
    path.write_text(json.dumps(content))
    return path


def test_records_must_be_of_the_policy_and_of_the_robot(toy: Any, tmp_path: Path) -> None:
    policy = record_policy(tmp_path)
    entry = {"measured": str(record_file(tmp_path, control_hz=None))}
    with pytest.raises(UserError, match=f"a record of {policy!r}, not of 'random'"):
        planned(toy, latency={"random": entry}, latency_ms=[1])
    plan = planned(toy, latency={"random": entry | {"of": policy}}, latency_ms=[1])
    arm = next(one for one in plan.choices.values() if one.timing and "measured" in one.label)
    assert arm.timing is not None and arm.timing.latency is not None
    assert arm.timing.latency.source == "measured" and len(arm.timing.latency.ms) > 1
    record_file(tmp_path, control_hz=20.0)
    with pytest.raises(UserError, match="for a robot at 20 Hz, toy has 10 Hz"):
        planned(toy, latency={"random": entry | {"of": policy}}, latency_ms=[1])


def record_policy(folder: Path) -> str:
    return str(json.loads(record_file(folder).read_text())["policy"])


# -- sweeps -----------------------------------------------------------------------------------

GRID = {
    "policies": ["expert", "random"],
    "suites": {"toy": [0, 1]},
    "init_states": "0-2",
    "protocol_changes": {"clock": "paying", "max_steps": {"toy": 40}},
    "latency_ms": [0, 100, 300],
    "rules": ["hold", "repeat"],
}


def table(run: Path) -> Any:
    with Store.read(run) as store:
        frame = episodes_frame(store)
        asked = store.measurements("clock/")
    return frame.drop(columns="key").to_csv(), [asked[key] for key in frame.key]


@pytest.mark.usefixtures("toy")
def test_a_sweep_pays_replays_and_shares_processes(
    wambench: CommandLine, swept: CommandLine, tmp_path: Path
) -> None:
    run, shards = tmp_path / "run", tmp_path / "shards"
    ended = swept(tmp_path / "s.yaml", GRID, run, "--workers", 2)
    assert ended.code == 0, ended.err
    for part in ("2/2", "1/2"):
        ended = swept(tmp_path / "s.yaml", GRID, shards, "--workers", 1, "--shard", part)
        assert ended.code == 0, ended.err
    assert table(run) == table(shards)
    frozen = GRID | {"latency_ms": [], "rules": [], "protocol_changes": {"max_steps": {"toy": 40}}}
    ended = swept(tmp_path / "f.yaml", frozen, tmp_path / "frozen")
    assert ended.code == 0, ended.err
    paid, plain = (ends(folder) for folder in (run, tmp_path / "frozen"))
    for (policy, *place), end in plain.items():
        assert paid[f"{policy} 0ms", *place] == end
    slow = [paid[("expert 300ms hold", *place)] for _, *place in plain]
    quick = [paid[("expert 0ms", *place)] for _, *place in plain]
    assert sum(steps for _, steps, _ in slow) > sum(steps for _, steps, _ in quick)
    replayed = wambench("replay", run, "--policy", "expert 300ms hold", "--task", 1, "--init", 2)
    assert replayed.code == 0, replayed.err
    assert "equal to the bit" in replayed.out


def ends(run: Path) -> dict[tuple[Any, ...], Any]:
    with Store.read(run) as store:
        return {
            (c.cell.policy, c.cell.task, c.cell.init_state): (c.outcome, c.steps, c.final_digest)
            for c in store.cells()
        }


@pytest.mark.usefixtures("toy")
def test_a_wall_clock_is_not_replayed(
    wambench: CommandLine, swept: CommandLine, tmp_path: Path
) -> None:
    content = GRID | {"latency_ms": [], "policies": ["expert"], "rules": ["hold"]}
    content |= {"protocol_changes": {"clock": "wall", "max_steps": {"toy": 40}}}
    ended = swept(tmp_path / "s.yaml", content, tmp_path / "run")
    assert ended.code == 0, ended.err
    replayed = wambench("replay", tmp_path / "run", "--policy", "expert wall hold", "--init", 0)
    assert replayed.code == 2 and "wall clock, which never comes again" in replayed.err


def test_paying_costs_little_more_than_standing_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a simulator that takes 0.5 ms a step, a tenth of what real ones do."""
    move = toy.ToySimulator.step

    def slow(self: toy.ToySimulator, action: Actions) -> None:
        until = process_time() + 5e-4
        while process_time() < until:
            pass
        move(self, action)

    monkeypatch.setattr(toy.ToySimulator, "step", slow)
    frozen, paid = [], []
    for _ in range(9):
        for timing, times in ((None, frozen), (paying(1, NAMED_RULES["blend"]), paid)):
            began = process_time()
            steps = play(timing)[0].steps
            times.append((process_time() - began) / steps)
    assert min(paid) <= 1.2 * min(frozen)
