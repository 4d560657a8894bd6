"""The latency audit: on real small torch policies, behind the real policy server."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from click.testing import Result
from typer.testing import CliRunner

from tests.conftest import Install
from wambench import UserError, plugins
from wambench.cli.audit_latency import latency
from wambench.inference import Inference, Program, Step
from wambench.profile.latency import statistics
from wambench.profile.latency.choice import Choice, choose, groups
from wambench.profile.latency.graphs import MOST_GRAPHS, CannotCapture, GraphStep
from wambench.profile.latency.hosts import LocalHost
from wambench.profile.latency.modes import execute
from wambench.profile.latency.protocol import FULL, QUICK, SCOPES
from wambench.profile.latency.records import LatencyRecord, read_record, read_records
from wambench.profile.latency.run import Audit
from wambench.profile.latency.showing import Show
from wambench.profile.observations import INSTRUCTION

IN_PROCESS = {*SCOPES} - {"wire"}

# A stranger's package: a module in torch behind the contract, which shows its inside.
STRANGER = """
from dataclasses import dataclass
import numpy as np
import torch
from torch import nn
from wambench import ActionSpec, Inference, Policy, PolicySpec, Program, Step

ACTION = ActionSpec(dim=7, frame="base", mode="delta", translation_unit_m=0.05, low=-1, high=1,
                    rotation="axis_angle", rotation_unit_rad=0.5, gripper="negative_opens")

@dataclass
class State:
    words: torch.Tensor
    image: torch.Tensor
    action: torch.Tensor
    text: torch.Tensor = None
    seen: torch.Tensor = None

class Small(Policy):
    def __init__(self, width=384, steps=4, keep=True):
        self.width, self.steps, self.keep, self.texts = width, steps, keep, {}
        self.spec = PolicySpec(paradigm="small", about="a test's", cameras=("agentview", "wrist"),
                               image_size=(32, 32), horizon=8, replan_steps=4, action=ACTION)
    def load(self):
        torch.manual_seed(0)
        self.net = nn.ModuleDict({
            "text": nn.Linear(64, self.width), "vision": nn.Linear(6144, self.width),
            "act": nn.Sequential(nn.Linear(56 + self.width, 2 * self.width), nn.ReLU(),
                                 nn.Linear(2 * self.width, 56))})
        self.program = Program([Step("text", self.text, once_per_instruction=True),
                                Step("vision", self.see)] + [Step("act", self.move)] * self.steps)
    def state(self, observations):
        seen = observations[0]
        words = torch.zeros(1, 64)
        for place, word in enumerate(seen.instruction.split()):
            words[0, (sum(word.encode()) + place) % 64] += 1
        image = np.concatenate([seen.images[c].reshape(-1) for c in self.spec.cameras])
        noise = np.random.default_rng(seen.noise_seed).normal(size=(1, 56))
        return State(words, torch.tensor(image[None]) / 255.0, torch.tensor(noise).float())
    def text(self, state):
        state.text = self.net["text"](state.words)
    def see(self, state):
        state.seen = self.net["vision"](state.image) + state.text
    def move(self, state):
        whole = torch.cat([state.action, state.seen], 1)
        state.action = state.action - 0.1 * self.net["act"](whole)
    def inference(self, on):
        return Inference(self.program, self.state, {"net": self.net}, lambda s: s.action,
                         control_hz=20)
    @torch.inference_mode()
    def act(self, observations):
        out = []
        for seen in observations:
            state = self.state([seen])
            kept = self.texts.get(seen.instruction) if self.keep else None
            state.text = kept
            self.program.run(state, warm_text=kept is not None)
            self.texts[seen.instruction] = state.text
            out.append(state.action.reshape(8, 7).double().numpy())
        return out

class Closed(Small):
    "Shows nothing of its inside."
    def inference(self, on):
        return None
"""
CALL_MARGIN = 1.1  # between two audits of a busy machine, beyond both intervals


@pytest.fixture
def stranger(install: Install) -> None:
    torch.set_num_threads(1)
    points = {"small": "smallpolicy:Small", "closed": "smallpolicy:Closed"}
    install("smallpolicy", {"smallpolicy.py": STRANGER}, {plugins.POLICIES: points})


def audit(out: Path, *names: str, mode: Any = "eager", **changes: Any) -> list[LatencyRecord]:
    choices = [choose(name, {}, None, mode, QUICK) for name in names]
    return Audit(QUICK, mode, out, LocalHost, **changes).run(choices)


def test_a_strangers_policy_gets_a_record(stranger: None, tmp_path: Path) -> None:
    small, closed = audit(tmp_path, "small", "closed")
    assert small.protocol == "latency-1" and small.rules.variant == "quick"
    assert set(small.scopes) == IN_PROCESS
    assert set(closed.scopes) == {"policy", "served"}
    for record in (small, closed):
        for texts in record.scopes.values():
            assert set(texts) == {"warm", "cold"}
            for times in texts.values():
                assert times.n >= QUICK.least_calls == 25
                assert times.n == sum(map(len, times.samples))
                assert times.warm_up.calls >= QUICK.warm_up_calls
                assert times.min_ms <= times.low_ms <= times.p50_ms <= times.high_ms
                assert times.p50_ms <= times.p90_ms <= times.p95_ms <= times.p99_ms <= times.max_ms
        assert record.outputs.finite and record.outputs.distinct > 32
        assert record.outputs.actions == 8 and record.executed_actions == 4
        assert record.inputs.distinct == 32 and record.inputs.flat == 0
        assert record.inputs.cameras == {"agentview": (32, 32), "wrist": (32, 32)}
        assert record.dtype == "float32" and record.device.software["threads"] == "1"
        act = record.act_ms()
        assert act and record.ms_per_action() == act / 4
        assert record.actions_per_second() == pytest.approx(4000 / act)
    # 2 FLOPs a multiply-add: text, vision, and four steps of two layers.
    step = 2 * (56 + 384) * 768 + 2 * 768 * 56
    whole = 2 * 64 * 384 + 2 * 6144 * 384 + 4 * step
    assert small.work.program_flops == {"cold": whole, "warm": whole - 2 * 64 * 384}
    assert small.work.act_flops == small.work.program_flops == closed.work.act_flops
    assert small.work.act_calls["cold"] == {"text": 1, "vision": 1, "act": 4}
    assert small.work.act_calls["warm"] == {"vision": 1, "act": 4}
    assert closed.work.act_calls == {} and closed.stages is None
    assert small.stages and set(small.stages.p50_ms) == {"text", "vision", "act"}
    assert small.ratios == {} and set(closed.ratios["policy"]) == {"warm", "cold"}
    assert small.control_hz == 20 and small.reference == closed.reference == "small+quick"
    codes = {flag.code for record in (small, closed) for flag in record.flags}
    machine = {"other-process", "not-settled", "reference-moved", "stages-off", "clocks-unstated"}
    assert codes <= machine  # nothing but what a busy machine may cause
    assert [read_record(tmp_path / f"{record.label}.json") for record in (small, closed)] == [
        small, closed,
    ]  # fmt: skip
    assert list(read_records(tmp_path)) == [closed, small]


def test_two_audits_agree_on_a_ratio(stranger: None, tmp_path: Path) -> None:
    """The slower policy does four times the work; CPU time, paired in rounds."""
    choices = [
        choose("small", {"width": width}, None, "eager", QUICK) for width in (384, 1024)
    ]  # fmt: skip
    ratios = [
        Audit(QUICK, "eager", tmp_path / str(run), LocalHost, scopes=("kernels",))
        .run(choices)[1]
        .ratios["kernels"]["cold"]
        for run in range(2)
    ]
    first, second = ratios
    assert first.clock == "cpu" and first.low <= first.value <= first.high
    assert first.low < CALL_MARGIN * second.high and second.low < CALL_MARGIN * first.high
    assert min(first.low, second.low) > 1.2  # and they say which is slower
    assert max(r.high / r.low for r in ratios) < 2  # and they say so with some precision


def test_a_policy_that_was_measured_is_kept(
    stranger: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    first = audit(tmp_path, "small", scopes=("policy",))
    again = audit(tmp_path, "small", "closed", scopes=("policy",), note=lines.append)
    assert again[0] == first[0] and again[1].audit != first[0].audit
    assert any("kept" in line for line in lines)
    assert again[1].ratios["policy"]["warm"].value > 0  # the reference ran beside it once more
    with monkeypatch.context() as patch:
        patch.setattr(LocalHost, "prepare", lambda self: pytest.fail("measured anew"))
        assert audit(tmp_path, "small", "closed", scopes=("policy",)) == again
    anew = audit(tmp_path, "small", scopes=("policy",), again=True)
    assert anew[0].audit != first[0].audit
    (tmp_path / "small+quick.json").write_text('{"protocol": "latency-1"}')
    with pytest.raises(UserError, match=r"no latency record: .* is missing; remove it"):
        audit(tmp_path, "small")


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    for content, expected in (
        ("half a fi", "is no JSON"),
        ("[]", "no latency record"),
        ('{"protocol": "speed-9"}', "no latency record"),
    ):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(UserError, match=expected) as refused:
            read_records(tmp_path)
        assert "\n" not in str(refused.value) and "x.json" in str(refused.value)
    with pytest.raises(UserError, match="no folder"):
        read_records(tmp_path / "nowhere")


# -- what is shown -------------------------------------------------------------------------------


def test_cold_instructions_are_new_and_as_long(stranger: None) -> None:
    show = Show(plugins.make_policy("small", {}).spec, FULL)
    cold = [show.next("cold").instruction for _ in range(300)]
    assert len({*cold, INSTRUCTION}) == 301
    assert all(sorted(told.split()) == sorted(INSTRUCTION.split()) for told in cold)
    warm = [show.next("warm") for _ in range(40)]
    assert {seen.instruction for seen in warm} == {INSTRUCTION}
    assert len({seen.images["wrist"].tobytes() for seen in warm}) == 32


# -- modes ---------------------------------------------------------------------------------------


def test_compiled_steps_are_what_acts(stranger: None) -> None:
    policy = plugins.make_policy("small", {"steps": 10})
    policy.load()
    inference = policy.inference("loaded")
    assert inference is not None
    show = Show(policy.spec, QUICK)
    seen = show.next("warm")
    eager = policy.act([seen])[0]
    executed = execute(inference, "compiled", backend="eager")
    assert executed.graphs() == 0
    assert np.allclose(policy.act([seen])[0], eager)
    graphs = executed.graphs()
    assert graphs and graphs >= 3  # text, vision, act: they were compiled by acting
    before = graphs
    policy.act([show.next("warm")])
    assert executed.graphs() == before  # and not anew in every call


def test_modes_that_cannot_be_are_refused(stranger: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'closed\+compiled.*shows no inference.*eager"):
        audit(tmp_path, "closed", mode="compiled")
    with pytest.raises(UserError, match="needs a policy on a CUDA GPU"):
        audit(tmp_path, "small", mode="graph")


def recorded(run: Any) -> Any:
    """What a capture of CUDA does, without CUDA: the run happens, and happens again on replay."""
    run()
    return run


def test_graphs_get_new_inputs_and_give_their_results(stranger: None) -> None:
    policy = plugins.make_policy("small", {})
    policy.load()
    inference = policy.inference("loaded")
    assert inference is not None
    show = Show(policy.spec, QUICK)
    shown = [show.next(text) for text in ("warm", "warm", "cold", "warm")]
    eager = [policy.act([seen])[0] for seen in shown]
    policy.texts.clear()  # type: ignore[attr-defined]

    def captured(run: Any) -> Any:
        """A graph's kernels read where they read when captured: the inputs must be copied in."""
        state = run.__closure__[0].cell_contents
        state = state if hasattr(state, "words") else run.__closure__[1].cell_contents
        inputs = dict(vars(state))
        run()
        results = dict(vars(state))

        def replay() -> None:
            vars(state).update(inputs)
            run()
            for name, result in vars(state).items():
                if result is not None:
                    results[name].copy_(result)  # and its results lie where they lay
            vars(state).update(results)

        return replay

    executed = execute(inference, "graph", capture=captured)
    replayed = [policy.act([seen])[0] for seen in shown]
    assert all(np.allclose(a, b) for a, b in zip(eager, replayed, strict=True))
    assert executed.graphs() == 3  # text, vision, act: four calls, one shape
    assert executed.refused() == {}


@dataclass
class Flow:
    x: torch.Tensor
    number: int = 0
    y: torch.Tensor | None = None


def test_graphs_of_ever_new_states_are_given_up() -> None:
    step = GraphStep([Step("act", lambda state: None)], recorded, set())
    for number in range(MOST_GRAPHS):
        step(Flow(torch.zeros(1), number))
        step(Flow(torch.ones(1), number))
    assert len(step) == MOST_GRAPHS
    with pytest.raises(UserError, match="another shape or value in every call"):
        step(Flow(torch.zeros(1), MOST_GRAPHS))


def test_numbers_of_the_host_are_on_the_device_before_capturing() -> None:
    made: list[torch.Tensor] = []

    def run(state: Flow) -> None:
        made.append(torch.tensor([1.0, 2.0], dtype=torch.float32))
        state.y = state.x + made[-1] + torch.tensor(made[-1].new_ones(1).item())

    step = GraphStep([Step("act", run)], recorded, set())
    state = Flow(torch.zeros(2))
    step(state)
    assert state.y is not None and state.y.tolist() == [2, 3]
    assert len({id(tensor) for tensor in made[:-1]}) == 1  # all but the replay's, which is faked


def test_a_graph_reads_another_graphs_results_where_they_lie() -> None:
    seen: list[int] = []

    def double(state: Flow) -> None:
        state.y = state.x * 2

    def look(state: Flow) -> None:
        assert state.y is not None
        seen.append(id(state.y))

    results: set[int] = set()
    first = GraphStep([Step("vision", double)], lambda run: (run(), lambda: None)[1], results)
    second = GraphStep([Step("act", look)], recorded, results)
    state = Flow(torch.ones(2))
    first(state)
    second(state)
    assert seen[-1] == id(state.y) and id(state.y) in results


def test_steps_that_cannot_be_captured_run_as_they_are() -> None:
    def refuse(run: Any) -> Any:
        raise CannotCapture("it waits for the device")

    def double(state: Flow) -> None:
        state.y = state.x * 2

    program = Program([Step("vision", double)])
    shown = Inference(program, lambda seen: None, {}, lambda state: state.y)
    executed = execute(shown, "graph", capture=refuse)
    state = program.run(Flow(torch.ones(1)))
    assert state.y is not None and state.y.item() == 2
    assert executed.graphs() == 0 and executed.refused() == {"vision": "it waits for the device"}


# -- statistics ----------------------------------------------------------------------------------


def test_summary_and_interval_of_known_times() -> None:
    random = np.random.default_rng(1)
    blocks = random.normal(10, 1, (40, 5))
    found = statistics.summary(blocks, slow=1.5, resamples=500)
    assert found.n == 200 and found.p50_ms == pytest.approx(np.median(blocks))
    assert found.p99_ms == pytest.approx(np.percentile(blocks, 99))
    assert found.low_ms < 10 < found.high_ms and 0.1 < found.high_ms - found.low_ms < 0.7
    blocks[0, 0] = 16
    assert statistics.summary(blocks, slow=1.5, resamples=10).slow_calls == 1
    # Blocks, not calls, are what is drawn: calls of one block that fail together widen the gap.
    drifting = np.repeat(random.normal(10, 1, (40, 1)), 5, axis=1)
    wide = statistics.summary(drifting, slow=1.5, resamples=500)
    assert wide.high_ms - wide.low_ms > 1.5 * (found.high_ms - found.low_ms)


def test_a_ratio_of_paired_rounds_does_not_feel_the_machine() -> None:
    random = np.random.default_rng(2)
    mood = random.uniform(1, 3, (20, 1))  # of the machine, round by round
    ours = 2 * mood * random.normal(1, 0.01, (20, 5))
    theirs = mood * random.normal(1, 0.01, (20, 5))
    paired = statistics.ratio(ours, theirs, resamples=500)
    assert paired.low < 2 < paired.high and paired.high - paired.low < 0.3
    shuffled = statistics.ratio(ours, theirs[random.permutation(20)], resamples=500)
    assert shuffled.high - shuffled.low > 2 * (paired.high - paired.low)


# -- choices -------------------------------------------------------------------------------------


def test_choices_are_checked_before_work(stranger: None, tmp_path: Path) -> None:
    for name, options, expected in (
        ("smal", {}, "did you mean small"),
        ("small", {"depth": 3}, "depth"),
        ("nano-pi0", {"weights": tmp_path / "no.safetensors"}, "cannot be measured here: no wei"),
    ):
        with pytest.raises(UserError, match=expected):
            choose(name, options, None, "eager", QUICK)
    plain = choose("small", {}, None, "eager", FULL)
    assert (plain.label, plain.geometry) == ("small", "own")
    other = choose("small", {"width": 8, "steps": 2}, None, "compiled", QUICK)
    assert other.label == "small+steps=2+width=8+compiled+quick"
    assert other.identity != plain.identity


def test_groups_hold_the_reference_and_fit() -> None:
    spec = plugins.make_policy("random", {}).spec
    sizes = {"a": 17, "b": 36, "c": 25, "d": 25, "e": 90}
    choices = [Choice(name, name, {}, spec, "", "own", None, size) for name, size in sizes.items()]
    found = [[choice.label for choice in group] for group in groups(choices, 60)]
    assert found == [["a", "b"], ["a", "c"], ["a", "d"], ["a", "e"]]
    found = [[choice.label for choice in group] for group in groups(choices[:4], 80)]
    assert found == [["a", "b", "c"], ["a", "d"]]
    assert [len(group) for group in groups(choices[:1], 1)] == [1]


# -- the command ---------------------------------------------------------------------------------


def command(*arguments: object) -> Result:
    """``wambench audit latency ARGUMENTS``, as the group of audits has it."""
    app = typer.Typer()
    app.command("latency")(latency)
    app.command("other")(lambda: None)
    return CliRunner().invoke(app, ["latency", *map(str, arguments)])


def test_command_by_ray_prints_tables_and_json(stranger: None, tmp_path: Path) -> None:
    """Processes of their own under Ray, as in a sweep: all three scopes."""
    out = tmp_path / "records"
    asked = ("small", "--quick", "--out", out, "--option", "width=64")
    ended = command(*asked)
    assert ended.exit_code == 0, ended.exception
    record = read_record(out / "small+width=64+quick.json")
    assert set(record.scopes) == IN_PROCESS and record.options == {"width": 64}
    assert record.served_by == "the policy server in a Ray actor"
    served, inside = record.times("served", "warm"), record.times("policy", "warm")
    assert served and inside and served.p50_ms > inside.p50_ms and served.cpu_p50_ms is None
    assert re.search(r"small\+width=64\+quick +served +\d", ended.stdout)
    told = json.loads(command(*asked, "--json", "--in-process").stdout)  # kept, not measured
    assert told["protocol"] == "latency-1" and told["records"][0]["audit"] == record.audit
    assert "samples" not in json.dumps(told["records"][0]["scopes"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("small", "small"), "'small' appears twice; name it once"),
        (("small", "--scope", "kernel"), "unknown scope 'kernel'; did you mean kernels"),
        (("small", "--option", "width"), "not key=value"),
        (("small", "--option", "depth=3"), "refuses its options"),
        (("small", "--preset", "released"), "refuses its options"),
        (("closed", "--mode", "compiled", "--quick"), "shows no inference"),
        (("imagewam-4b", "--geometry", "moon"), "no geometry 'moon'"),
    ],
)
def test_command_refuses_in_one_line(
    stranger: None, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    ended = command(*arguments, "--in-process", "--out", tmp_path / "no")
    assert isinstance(ended.exception, UserError), ended.exception
    assert expected in str(ended.exception) and "\n" not in str(ended.exception)
    assert not (tmp_path / "no").exists()
