"""pi0 against transformers' own model, pi0.5 against a second, cache-free implementation."""

import math
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from transformers import PI0ForConditionalGeneration

from baselines.core.build import fill, fill_random, on_meta, parameter_count
from baselines.vla.pi0.config import BEST_EXACT, PRESETS, RELEASED, Options, Pi0Config, Vision
from baselines.vla.pi0.layout import layout, published_layout
from baselines.vla.pi0.loss import Draws, draw, loss
from baselines.vla.pi0.modules import Pi, build, embedded_time, transformers_config
from baselines.vla.pi0.program import State, program

PI0 = Pi0Config(
    vision=Vision(width=24, mlp=40, heads=2, layers=2, patch=4, image=8),
    layers=3,
    heads=4,
    head_dim=16,
    width=32,
    mlp=64,
    expert_width=16,
    expert_mlp=48,
    vocabulary=101,
    action_dim=6,
    state_dim=5,
    text_length=9,
    horizon=4,
    steps=5,
)
PI05 = PI0.model_copy(update={"variant": "pi05"})
BOTH = pytest.mark.parametrize("config", [PI0, PI05], ids=["pi0", "pi05"])
PRESET = pytest.mark.parametrize("options", [RELEASED, BEST_EXACT], ids=["released", "best-exact"])
SAVINGS = list(Options.model_fields)
THIRD_ABSENT = (True, True, False)


def make(config: Pi0Config, dtype: torch.dtype = torch.float32) -> Pi:
    """A model with weights large enough that every part of it shows in the actions."""
    model = on_meta(lambda: build(config))
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for name, w in model.state_dict().items():
        std = w.shape[-1] ** -0.5 if w.dim() > 1 else 0.3
        weights[name] = torch.randn(w.shape, generator=generator) * std
    fill(model, weights, dtype)
    return model


def observe(
    config: Pi0Config, lengths: tuple[int, ...] = (4, 9), cameras: tuple[bool, ...] = THIRD_ABSENT
) -> State:
    generator = torch.Generator().manual_seed(sum(lengths))
    batch, size = len(lengths), config.vision.image
    shape = (batch, len(cameras), 3, size, size)
    # Padding and absent cameras hold numbers of their own: reading them would be seen.
    return State(
        images=torch.rand(shape, generator=generator) * 2 - 1,
        cameras=cameras,
        token_ids=torch.randint(0, 101, (batch, config.text_length), generator=generator),
        lengths=lengths,
        noise=torch.randn(batch, config.horizon, config.action_dim, generator=generator),
        state=torch.randn(batch, config.state_dim, generator=generator),
    )


def run(model: Pi, options: Options, state: State) -> Tensor:
    with torch.no_grad():
        return program(model, options).run(state).action


def steps(model: Pi, options: Options, state: State) -> Iterator[Tensor]:
    with torch.no_grad():
        for step in program(model, options).steps:
            step.run(state)
            if step.stage == "act":
                yield state.velocity


def distance(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


# ---- pi0 is transformers' pi0


def transformers_pi0(model: Pi) -> PI0ForConditionalGeneration:
    whole = PI0ForConditionalGeneration(transformers_config(model.config)).eval()
    whole.load_state_dict(model.state_dict(), strict=True)
    return whole


def transformers_inputs(config: Pi0Config, state: State) -> dict[str, Tensor]:
    """Its prompt has image tokens for the cameras that exist only."""
    batch, images = len(state.noise), sum(state.cameras) * config.vision.tokens
    ids = torch.cat([torch.full((batch, images), config.vocabulary), state.token_ids], dim=1)
    there = torch.arange(ids.shape[1]) < images + torch.tensor(state.lengths)[:, None]
    return {
        "input_ids": ids,
        "attention_mask": there.long(),
        "pixel_values": state.images,
        "pixel_attention_mask": torch.tensor([state.cameras] * batch),
        "state": state.state,
    }


@PRESET
@pytest.mark.parametrize("cameras", [THIRD_ABSENT, (True, False, True), (True, True, True)])
@pytest.mark.parametrize("lengths", [(4, 9, 1), (7,)])
def test_pi0_acts_like_transformers(options, cameras, lengths):
    model, state = make(PI0), observe(PI0, lengths, cameras)
    reference = transformers_pi0(model)
    velocities: list[Tensor] = []
    reference.action_out_proj.register_forward_hook(lambda _m, _i, out: velocities.append(out))
    actions = reference.sample_actions(noise=state.noise, **transformers_inputs(PI0, state))
    ours = list(steps(model, options, state))
    assert max(v.abs().max() for v in velocities) > 0.5
    assert max(map(distance, ours, velocities)) < 1e-5
    assert len(ours) == len(velocities) == PI0.steps
    assert distance(state.action, actions) < 1e-5


def test_pi0_loss_and_gradients_are_those_of_transformers():
    model, state = make(PI0), observe(PI0)
    reference = transformers_pi0(model)
    draws = draw(PI0, 2, torch.Generator().manual_seed(3))
    actions = torch.randn(state.noise.shape)
    model.requires_grad_(True)
    ours = loss(model, state, actions, draws)
    theirs = reference(
        actions=actions,
        noise=draws.noise,
        timestep=draws.time,
        **transformers_inputs(PI0, state),
    ).loss
    assert abs(ours.item() - theirs.item()) < 1e-5
    ours.backward()
    theirs.backward()
    expected = dict(reference.named_parameters())
    reached = 0
    for name, weight in model.named_parameters():
        grad = expected[name].grad
        if weight.grad is None:  # dead: the last layer beyond its keys and values
            assert grad is None or not grad.any(), name
            continue
        reached += 1
        assert distance(weight.grad, grad) < 1e-5 * max(1.0, grad.abs().max().item()), name
    dead = 1 + 1 + 6  # the expert's embedding, the final norm, and six weights of the last layer
    assert reached == len(expected) - dead


def test_draws_are_those_of_transformers():
    """Same seed, same times and noise: its forward pass draws them if it gets none."""
    model, state = make(PI0), observe(PI0)
    actions = torch.randn(state.noise.shape)
    reference = transformers_pi0(model)
    torch.manual_seed(11)
    theirs = reference(actions=actions, **transformers_inputs(PI0, state)).loss
    draws = draw(PI0, 2, torch.Generator().manual_seed(11))
    assert abs(loss(model, state, actions, draws).item() - theirs.item()) < 1e-5


def test_times_are_beta_distributed():
    times = draw(PI0, 20_000, torch.Generator().manual_seed(0)).time
    assert 0.001 <= times.min() < 0.01
    assert 0.99 < times.max() <= 1
    assert times.mean().item() == pytest.approx(0.999 * 1.5 / 2.5 + 0.001, abs=0.005)


# ---- pi0.5 is what its description says


def plain_pi05(model: Pi, state: State, x: Tensor, t: Tensor) -> Tensor:
    """Velocity of pi0.5: one sequence, one mask, no cache, no transformers."""
    c, w = model.config, model.state_dict()

    def linear(name: str, value: Tensor) -> Tensor:
        return F.linear(value, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def layer_norm(name: str, value: Tensor) -> Tensor:
        weight, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        return F.layer_norm(value, weight.shape, weight, bias, eps=1e-6)

    def gelu(value: Tensor) -> Tensor:
        return F.gelu(value, approximate="tanh")

    def softmax_attention(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(~seen, -math.inf).softmax(dim=-1).nan_to_num()
        return torch.einsum("bhqk,bkhd->bqhd", scores, v).flatten(2)

    def encode(image: Tensor) -> Tensor:
        name = "model.vlm.vision_tower.embeddings"
        kernel, bias = w[f"{name}.patch_embedding.weight"], w[f"{name}.patch_embedding.bias"]
        h = F.conv2d(image, kernel, bias, stride=c.vision.patch).flatten(2).transpose(1, 2)
        h = h + w[f"{name}.position_embedding.weight"]
        for i in range(c.vision.layers):
            name = f"model.vlm.vision_tower.encoder.layers.{i}"
            n = layer_norm(f"{name}.layer_norm1", h)
            q, k, v = (
                linear(f"{name}.self_attn.{p}_proj", n).unflatten(-1, (c.vision.heads, -1))
                for p in "qkv"
            )
            seen = torch.ones(1, dtype=torch.bool)
            h = h + linear(f"{name}.self_attn.out_proj", softmax_attention(q, k, v, seen))
            n = layer_norm(f"{name}.layer_norm2", h)
            h = h + linear(f"{name}.mlp.fc2", gelu(linear(f"{name}.mlp.fc1", n)))
        h = layer_norm("model.vlm.vision_tower.post_layernorm", h)
        return linear("model.vlm.multi_modal_projector.linear", h)

    def rms(value: Tensor) -> Tensor:
        return value / (value.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()

    # Rounded like the reference: the fastest sinusoid turns 250 times, and float32 shows at 1e-5.
    period = 0.004 * 1000.0 ** torch.linspace(0, 1, c.expert_width // 2)
    angle = 1 / period * 2 * math.pi * t
    cond = torch.cat([angle.sin(), angle.cos()])
    for name in ("time_mlp_in", "time_mlp_out"):
        cond = F.silu(linear(f"embed_action_time.{name}", cond))

    def adapted(name: str, value: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift, gate = linear(f"{name}.dense", cond).chunk(3)
        return rms(value) * (1 + scale) + shift, gate

    def fixed(name: str, value: Tensor) -> tuple[Tensor, Tensor]:
        return rms(value) * (1 + w[f"{name}.weight"]), torch.ones(())

    text = w["model.vlm.language_model.embed_tokens.weight"][state.token_ids] * c.width**0.5
    images = [encode(state.images[:, slot]) for slot in range(c.camera_slots)]
    streams = [
        ("model.vlm.language_model", fixed, torch.cat([*images, text], dim=1)),
        ("model.dit", adapted, linear("embed_action_time.action_in_proj", x)),
    ]
    camera = torch.tensor(state.cameras).repeat_interleave(c.vision.tokens)
    written = torch.arange(c.text_length) < torch.tensor(state.lengths)[:, None]
    batch = len(x)
    real = torch.cat([camera.expand(batch, -1), written], dim=1)
    real = F.pad(real, (0, c.horizon), value=True)
    place = real.cumsum(1) - 1
    is_action = torch.arange(real.shape[1]) >= real.shape[1] - c.horizon
    # Prefix tokens do not see actions, nobody sees what is not real.
    seen = ((is_action[:, None] | ~is_action[None]) & real[:, None])[:, None]
    turn = place[..., None, None] / 10000 ** (torch.arange(c.head_dim // 2) * 2 / c.head_dim)

    def rotated(value: Tensor) -> Tensor:
        spun = torch.complex(*value.chunk(2, -1)) * torch.polar(torch.ones(()), turn)
        return torch.cat([spun.real, spun.imag], -1)

    for i in range(c.layers):
        parts, gates = [], []
        for root, norm, h in streams:
            name = f"{root}.layers.{i}"
            n, gate = norm(f"{name}.input_layernorm", h)
            heads = [linear(f"{name}.self_attn.{p}_proj", n) for p in "qkv"]
            parts.append([p.unflatten(-1, (-1, c.head_dim)) for p in heads])
            gates.append(gate)
        q, k, v = (torch.cat(p, dim=1) for p in zip(*parts, strict=True))
        k, v = (p.expand(-1, -1, c.heads, -1) for p in (k, v))
        mixed = softmax_attention(rotated(q), rotated(k), v, seen)
        cut = (mixed[:, : -c.horizon], mixed[:, -c.horizon :])
        after = []
        for (root, norm, h), attended, gate in zip(streams, cut, gates, strict=True):
            name = f"{root}.layers.{i}"
            h = h + linear(f"{name}.self_attn.o_proj", attended) * gate
            n, gate = norm(f"{name}.post_attention_layernorm", h)
            up = gelu(linear(f"{name}.mlp.gate_proj", n)) * linear(f"{name}.mlp.up_proj", n)
            after.append((root, norm, h + linear(f"{name}.mlp.down_proj", up) * gate))
        streams = after
    return linear("action_out_proj", adapted("model.dit.norm", streams[1][2])[0])


@PRESET
@pytest.mark.parametrize("cameras", [THIRD_ABSENT, (False, True, True)])
def test_pi05_is_one_sequence_with_one_mask(options, cameras):
    model, state = make(PI05), observe(PI05, (4, 9, 1), cameras)
    x = state.noise
    for index, ours in enumerate(steps(model, options, state)):
        plain = plain_pi05(model, state, x, torch.tensor(1 - index / PI05.steps))
        assert plain.abs().max() > 0.5
        assert distance(ours, plain) < 1e-5
        x = x - plain / PI05.steps
    assert distance(state.action, x) < 1e-5


def test_pi05_loss_is_the_error_of_its_velocity():
    model, state = make(PI05), observe(PI05, (6,))
    actions, draws = torch.randn(state.noise.shape), draw(PI05, 1, torch.Generator())
    x = draws.time * draws.noise + (1 - draws.time) * actions
    velocity = plain_pi05(model, state, x, draws.time[0])
    expected = (velocity - (draws.noise - actions)).pow(2).mean()
    model.requires_grad_(True)
    ours = loss(model, state, actions, draws)
    assert abs(ours.item() - expected.item()) < 1e-5
    ours.backward()
    norm = model.model.dit.layers[0].input_layernorm
    assert norm.dense.weight.grad.abs().max() > 0


def test_pi05_without_modulation_is_a_residual_of_its_input():
    """Zero gates, as at the start of training: every branch is off."""
    model, state = make(PI05), observe(PI05)
    weights = model.state_dict()
    for name in weights:
        if ".dense." in name:
            weights[name].zero_()
    velocity = next(steps(model, BEST_EXACT, state))
    tokens = model.suffix(state.noise, torch.ones(2), None)
    plain = tokens * torch.rsqrt(tokens.pow(2).mean(-1, keepdim=True) + 1e-6)
    assert distance(velocity, model.action_out_proj(plain)) < 1e-6


# ---- what must not change the actions


@BOTH
@pytest.mark.parametrize("name", [*SAVINGS, "all"])
def test_savings_leave_the_actions_alone(config, name):
    model = make(config)
    saved = BEST_EXACT if name == "all" else RELEASED.model_copy(update={name: True})
    lengths = torch.randint(1, config.text_length + 1, (3, 3), generator=torch.Generator())
    cases = [(tuple(row), THIRD_ABSENT) for row in lengths.tolist()]
    for case in [*cases, ((5,), (True,) * 3), ((9, 9), THIRD_ABSENT)]:
        released = run(model, RELEASED, observe(config, *case))
        assert distance(released, run(model, saved, observe(config, *case))) < 1e-5


@BOTH
@PRESET
def test_a_batch_acts_like_its_samples(config, options):
    model, together = make(config), observe(config, (4, 9, 1))
    actions = run(model, options, together)
    for i, length in enumerate(together.lengths):
        one = State(
            images=together.images[i : i + 1],
            cameras=together.cameras,
            token_ids=together.token_ids[i : i + 1],
            lengths=(length,),
            noise=together.noise[i : i + 1],
            state=together.state[i : i + 1],
        )
        assert distance(run(model, options, one), actions[i : i + 1]) < 1e-5


@BOTH
@PRESET
def test_padding_and_absent_cameras_are_not_read(config, options):
    model, state, other = make(config), observe(config), observe(config)
    other.images[:, 2] = 0
    other.token_ids[0, 4:] = 0
    assert torch.equal(run(model, options, state), run(model, options, other))
    other.images[:, 1] = 0
    assert distance(state.action, run(model, options, other)) > 1e-3


@BOTH
@PRESET
def test_bfloat16_keeps_float32_actions(config, options):
    exact = run(make(config), options, observe(config))
    rough = run(make(config, torch.bfloat16), options, observe(config))
    assert rough.dtype == torch.float32
    assert 1e-5 < distance(exact, rough) < 0.2


def test_text_is_kept_if_it_is_the_instruction_alone():
    model = make(PI0)
    plan = program(model, BEST_EXACT)
    assert plan.calls() == {"text": 1, "vision": 1, "prefill": 1, "act": PI0.steps}
    assert "text" not in plan.calls(warm_text=True)
    cold = observe(PI0)
    with torch.no_grad():
        actions = plan.run(cold).action
        assert torch.equal(plan.run(cold, warm_text=True).action, actions)
    spelled = PI05.model_copy(update={"state_in_text": True})
    plan = program(make(spelled), BEST_EXACT)
    assert plan.calls(warm_text=True)["text"] == 1


def test_state_moves_pi0_only():
    for config, moves in ((PI0, True), (PI05, False)):
        model, state, other = make(config), observe(config), observe(config)
        other.state = other.state + 1
        gap = distance(run(model, BEST_EXACT, state), run(model, BEST_EXACT, other))
        assert (gap > 1e-3) is moves


def test_time_embedding_has_the_periods_of_the_reference():
    table = embedded_time(torch.tensor([0.0, 0.004, 4.0]), 8)
    assert table[0].tolist() == [0] * 4 + [1] * 4
    assert table[1, 0].abs() < 1e-5  # one period of the fastest
    assert table[1, 4] == pytest.approx(1, abs=1e-5)
    assert table[2, 3].abs() < 1e-5  # and of the slowest
    assert table[1, 3] == pytest.approx(math.sin(2 * math.pi * 0.001), rel=1e-4)


# ---- checkpoints


@BOTH
def test_layout_is_the_state_dict(config):
    entries = layout(config)
    assert [e.file for e in entries] == list(build(config).state_dict())
    assert all(e.model == (e.file,) and e.alias_of is None for e in entries)


def test_published_names_are_those_that_transformers_reads(tmp_path):
    model = make(PI0)
    weights = model.state_dict()
    save_file(
        {e.file: weights[e.model[0]] for e in published_layout(PI0)},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    transformers_config(PI0).save_pretrained(tmp_path)
    loaded = PI0ForConditionalGeneration.from_pretrained(tmp_path).state_dict()
    assert set(loaded) == set(weights)
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_published_names_of_pi05():
    names = {e.file for e in published_layout(PI05)}
    expert = "paligemma_with_expert.gemma_expert.model"
    assert {
        f"{expert}.layers.0.input_layernorm.dense.weight",
        f"{expert}.norm.dense.bias",
        "time_mlp_in.weight",
        "action_in_proj.bias",
    } <= names
    assert not any("state_proj" in name or "embed_tokens" in name for name in names)


# ---- published size


def published(name: str) -> Pi:
    return on_meta(lambda: build(PRESETS[name]))


@pytest.mark.parametrize("name", PRESETS)
def test_published_sizes(name):
    start = time.perf_counter()
    model = published(name)
    assert time.perf_counter() - start < 3
    vlm, expert = model.model.vlm, model.model.dit
    assert parameter_count(vlm.vision_tower) == 412_442_352
    assert parameter_count(vlm.multi_modal_projector) == 2_361_344
    assert parameter_count(vlm.language_model) == 2_508_531_712
    assert parameter_count(vlm.language_model.embed_tokens) == 526_647_296
    inputs = parameter_count(model.embed_action_time) + parameter_count(model.action_out_proj)
    if name == "pi0":
        assert parameter_count(expert) == 574_788_608
        assert parameter_count(expert.embed_tokens) == 263_323_648  # in the class, never used
        assert inputs == 3_248_160
        assert parameter_count(model) == 3_501_372_176
    else:
        plain = 574_788_608 - 263_323_648 - 37 * 1024
        assert parameter_count(expert) == plain + 37 * (1024 * 3072 + 3072) == 427_932_672
        assert inputs == 2_165_792
        assert parameter_count(model) == 3_353_433_872


def test_pi0_has_the_parameters_of_transformers_default():
    config = PI0ForConditionalGeneration.config_class()
    whole = on_meta(lambda: PI0ForConditionalGeneration(config)).state_dict()
    ours = published("pi0").state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in whole.items()}


def test_random_weights_run_at_any_size():
    model = on_meta(lambda: build(PI05))
    fill_random(model, 0, torch.float32, torch.device("cpu"))
    assert run(model, BEST_EXACT, observe(PI05)).isfinite().all()


def test_config_needs_no_torch():
    code = "import sys, baselines.vla.pi0.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_draws_can_be_injected():
    model, state = make(PI0), observe(PI0, (3,))
    actions = torch.randn(state.noise.shape)
    clean = Draws(torch.tensor([1e-3]), torch.zeros_like(actions))
    noisy = Draws(torch.tensor([1.0]), torch.zeros_like(actions))
    values = {loss(model, state, actions, d).item() for d in (clean, noisy, clean)}
    assert len(values) == 2
