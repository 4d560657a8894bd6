"""Counting: right for any policy, refused where a counter is blind."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conftest import CommandLine, Install
from wambench import plugins
from wambench.errors import UserError
from wambench.inference import Inference, Program, Step
from wambench.profile import counter as counters
from wambench.profile.acting import ANY_ACTION
from wambench.profile.counter import check_counter, counted_flops
from wambench.profile.flops import closed_form, count
from wambench.profile.fvcore_counter import fvcore_flops
from wambench.profile.observations import observations
from wambench.profile.records import PolicyCount, StageCount
from wambench.profile.roofline import GPUS, SHORTEST_KERNEL_S, predict
from wambench.profile.steps import trace_steps
from wambench.profile.trace import trace, weights_of

STRANGER = """
import numpy as np
import torch
from torch import nn
from wambench import ActionSpec, Policy, PolicySpec

ACTION = ActionSpec(dim=7, frame="base", mode="delta", translation_unit_m=0.05,
    rotation="axis_angle", rotation_unit_rad=0.5, gripper="negative_opens", low=-1.0, high=1.0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 16, stride=16)
        self.mix = nn.MultiheadAttention(32, 4, batch_first=True)
        self.head = nn.Linear(32, 8 * 7)

    def forward(self, image):
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = x + self.mix(x, x, x, need_weights=False)[0]
        return self.head(x.mean(1)).unflatten(1, (8, 7))


class Mine(Policy):
    def __init__(self):
        self.spec = PolicySpec(paradigm="mine", about="a stranger", cameras=("agentview",),
            image_size=(64, 64), orientation="upright", action=ACTION, horizon=8, replan_steps=4)

    def load(self):
        torch.manual_seed(0)
        self.net = Net().eval()

    def act(self, observations):
        images = np.stack([seen.images["agentview"] for seen in observations])
        with torch.inference_mode():
            x = torch.from_numpy(images).movedim(-1, 1).float() / 255
            return list(self.net(x).numpy().astype(np.float64))
"""
TOKENS, WIDTH = 16, 32
STRANGERS_FLOPS = (
    2 * TOKENS * 3 * 256 * WIDTH  # patches
    + 2 * TOKENS * WIDTH * 4 * WIDTH  # projections of the attention
    + 4 * TOKENS**2 * WIDTH  # the attention itself
    + 2 * WIDTH * 56  # head
)


@pytest.fixture
def stranger(install: Install) -> None:
    install("stranger", {"stranger.py": STRANGER}, {plugins.POLICIES: {"mine": "stranger:Mine"}})


def test_a_strangers_policy_is_counted_right(stranger: None) -> None:
    found = count("mine", {})
    (stage,) = found.stages
    assert stage.stage == "act" and stage.calls == 1
    assert stage.flops == stage.flops_per_call == stage.counted_flops == STRANGERS_FLOPS
    assert found.verdict == "counted" and found.agreement is None and found.control_hz is None
    parameters = 3 * 256 * 32 + 32 + 4 * 32 * 33 + 32 * 56 + 56
    assert found.parameters == {"net": parameters} and stage.weight_bytes == 4 * parameters
    assert found.flops_per_action == STRANGERS_FLOPS / 4
    with pytest.raises(UserError, match="'mine' has no closed form"):
        closed_form("mine", {})


def test_the_command_counts_it_too(stranger: None, wambench: CommandLine) -> None:
    out = wambench("audit", "flops", "mine", "nano-pi0", "--json")
    assert out.code == 0, out.err
    content = json.loads(out.out)
    assert "1 MAC = 2 FLOPs" in content["convention"]
    mine, nano = (PolicyCount.from_json(found) for found in content["policies"])
    assert mine.flops == content["policies"][0]["flops"] == STRANGERS_FLOPS
    assert nano.track == "nano" and nano.flops > 10 * mine.flops
    assert [row["policy"] for row in content["ratios"]] == ["mine"]  # tracks never mix


def test_the_paper_s_one_step_video_is_counted_by_an_option(wambench: CommandLine) -> None:
    """Table 5 of the paper prints 13.21 TFLOPs; its neighbours 63.65 and 9.72 have tests too."""
    command = ["audit", "flops", "fastwam-idm", "--geometry", "paper"]
    out = wambench(*command, "--option", "video_steps=1", "--json")
    (found,) = json.loads(out.out)["policies"]
    assert found["flops_without_text_and_decode"] == pytest.approx(13.21e12, rel=0.01)
    assert {stage["stage"]: stage["calls"] for stage in found["stages"]}["imagine"] == 1
    for wrong, line in (
        (["--option", "video_steps"], "--option 'video_steps' is not key=value"),
        (["--against", "pi0"], "--against 'pi0' is not counted"),
        (["--option", "video_stepz=1"], "has no option 'video_stepz'"),
    ):
        ended = wambench(*command, *wrong)
        assert ended.code == 2 and line in ended.err and ended.err.count("\n") == 1


@pytest.mark.parametrize("name", ["random", "frozen"])
def test_a_policy_without_torch_has_no_cost(name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' computes nothing with torch"):
        count(name, {})


def test_unknown_geometries_are_refused() -> None:
    with pytest.raises(UserError, match="'pi0' has no geometry 'papre'"):
        count("pi0", {}, "papre")


# ------------------------------------------------------------------ a counter that is blind


def test_the_counter_knows_attention_on_every_device() -> None:
    for device in ("meta", "cpu"):
        check_counter(device)


def test_a_counter_without_attention_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_CPU", {})  # as torch is by itself on a CPU
    with pytest.raises(UserError, match="counts 0 FLOPs for attention that takes 13440"):
        check_counter("cpu")


def test_the_fast_path_does_not_hide_work() -> None:
    """In eval mode without gradients torch runs these layers as one operation nobody counts."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
    x = torch.zeros(1, 10, 32)
    work = 2 * 10 * 32 * (4 * 32 + 2 * 64) + 4 * 10**2 * 32

    def count_without_gradients() -> int:
        with torch.no_grad(), counters.counter() as counted:
            layer(x)
        return counted.get_total_flops()

    torch.backends.mha.set_fastpath_enabled(True)
    assert count_without_gradients() < work
    check_counter()
    assert count_without_gradients() == counted_flops(lambda: layer(x)) == work


def test_the_backward_pass_of_attention_is_counted_on_every_device() -> None:
    def work(device: str) -> int:
        q, k = (torch.zeros(2, 3, n, 16, device=device, requires_grad=True) for n in (5, 7))
        with counters.counter() as counted:
            nn.functional.scaled_dot_product_attention(q, k, k).sum().backward()
        return counted.get_total_flops()

    product = 2 * 2 * 3 * 5 * 7 * 16
    # Two products forward; the scores again and four gradients on the fused road, which meta takes
    # apart into the products of the plain formula.
    assert work("cpu") == 7 * product
    assert work("meta") in (6 * product, 7 * product)


# ------------------------------------------------------------------ the trace


def test_a_trace_sees_flops_kernels_bytes_and_weights() -> None:
    linear = nn.Linear(16, 8, device="meta")
    x = torch.empty(4, 16, device="meta")

    def call() -> Tensor:
        return linear(linear(x).new_empty(4, 16).view(2, 32).view(4, 16)).relu()

    traced = trace(call, weights_of({"linear": linear}))
    assert traced.flops == traced.counted_flops == 2 * (2 * 4 * 16 * 8)
    assert traced.kernels == 3  # two products and a relu; views and room cost nothing
    assert traced.weight_bytes == 4 * (16 * 8 + 8)  # once, though it was read twice
    product = 4 * (4 * 16 + 16 * 8 + 8 + 4 * 8)
    assert traced.moved_bytes == 2 * product + 4 * 2 * 4 * 8


def test_attention_is_one_kernel_and_masked_places_count() -> None:
    q, k = torch.empty(2, 3, 5, 16, device="meta"), torch.empty(2, 3, 7, 16, device="meta")
    mask = torch.zeros(5, 7, dtype=torch.bool, device="meta")
    traced = trace(lambda: F.scaled_dot_product_attention(q, k, k, attn_mask=mask), {})
    assert traced.kernels == 1
    assert traced.flops == traced.counted_flops == 4 * 2 * 3 * 5 * 7 * 16


# ------------------------------------------------------------------ steps


class Flow:
    """A program of matrix products whose sizes are told: one per flow step."""

    def __init__(self, sizes: list[int], closed_form: list[int] | None = None) -> None:
        self.weight = nn.Linear(64, 64, device="meta")
        self.ran: list[int] = []
        steps = [Step("act", partial(self.step, i, size)) for i, size in enumerate(sizes)]
        self.inference = Inference(
            program=Program(steps),
            state=lambda seen: self,
            components={"weight": self.weight},
            action=lambda state: torch.zeros(1, 1, 7),
            flops=closed_form,
        )

    def step(self, index: int, size: int, state: Any) -> None:
        self.ran.append(index)
        self.weight(torch.empty(size, 64, device="meta"))

    def flops(self) -> list[int]:
        counted, _ = trace_steps(self.inference, [])
        return [one.traced.counted_flops for one in counted]


def test_equal_steps_are_traced_once_and_counted_all() -> None:
    flow = Flow([3] * 10)
    assert flow.flops() == [2 * 3 * 64 * 64] * 10
    assert flow.ran == [0, 1, 9]
    told = Flow([3] * 10, closed_form=[2 * 3 * 64 * 64] * 10)
    assert told.flops() == [2 * 3 * 64 * 64] * 10
    assert told.ran == [0, 1]


@pytest.mark.parametrize("sizes", [[5, 3, 3, 3, 3, 3], [3, 3, 3, 3, 3, 5], [1, 2, 3, 4, 5, 6]])
def test_a_step_that_is_another_is_noticed(sizes: list[int]) -> None:
    assert Flow(sizes).flops() == [2 * size * 64 * 64 for size in sizes]


# ------------------------------------------------------------------ fvcore


def test_fvcore_misses_attention_and_nothing_else() -> None:
    class State:
        x = torch.zeros(1, 2, 10, 16)
        weight = torch.zeros(16, 16)

    def run(state: Any) -> None:
        state.x = F.scaled_dot_product_attention(state.x, state.x, state.x) @ state.weight

    state = State()
    state.x, state.weight = State.x, State.weight
    product, attention = 2 * 2 * 10 * 16 * 16, 4 * 2 * 10 * 10 * 16
    assert fvcore_flops(Step("act", run), state) == product
    assert counted_flops(lambda: run(state)) == product + attention


# ------------------------------------------------------------------ predictions


def made_up(kernels: int, flops: int, moved: int, weights: int) -> PolicyCount:
    stage = StageCount(
        stage="act", calls=1, flops=kernels * flops, flops_per_call=kernels * flops,
        flops_of_calls=(kernels * flops,), counted_flops=kernels * flops, kernels=kernels,
        moved_bytes=kernels * moved, weight_bytes=weights, operations=((flops, moved, kernels),),
    )  # fmt: skip
    return PolicyCount(
        policy="p", options={}, geometry="own", preset=None, paradigm="x", track="external",
        horizon=8, executed_actions=4, control_hz=20, instruction="go", parameters={},
        stages=(stage, stage.model_copy(update={"stage": "text"})), cache_bytes=0,
        agreement=0.0, verdict="exact",
    )  # fmt: skip


def test_predictions_follow_what_binds() -> None:
    gpu = GPUS["A100"]
    small = predict(made_up(1000, 10, 10, 10), "A100")
    assert small.bound == "launch"
    assert small.graph_ms == pytest.approx(1e3 * 1000 * SHORTEST_KERNEL_S)
    assert small.eager_ms == pytest.approx(8.0) and small.stages == ("act",)
    large = predict(made_up(10, 10**13, 10**6, 10**6), "A100")
    assert large.bound == "compute"
    assert large.ideal_ms == pytest.approx(1e3 * 10 * 10 / gpu.peak_tflops)
    assert large.eager_ms == large.graph_ms == pytest.approx(large.ideal_ms / 0.75)
    wide = predict(made_up(10, 10, 10**10, 10**11), "A100")
    assert wide.bound == "bandwidth"
    assert wide.ideal_ms == pytest.approx(100 / gpu.bandwidth_tb_per_s)
    assert predict(made_up(10, 10**13, 1, 1), "A100", without=()).ideal_ms > large.ideal_ms
    with pytest.raises(UserError, match="unknown GPU 'A1000'"):
        predict(made_up(1, 1, 1, 1), "A1000")


def test_what_is_shown_is_never_blank() -> None:
    """Zeros run faster on some hardware, and equal pictures hide what a cache saves."""
    spec = plugins.make_policy("pi0", {}).spec
    seen = observations(spec, 3)
    pictures = [one.images["agentview"] for one in seen]
    assert all(picture.std() > 10 for picture in pictures)
    assert (pictures[0] != pictures[1]).mean() > 0.5
    assert ANY_ACTION.dim == 7
    assert (observations(spec, 3)[2].images["wrist"] == seen[2].images["wrist"]).all()
