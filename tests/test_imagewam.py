"""ImageWAM against golden tensors of the authors' code, and against itself in other ways."""

import functools
import random

import numpy as np
import pytest
import torch
from diffusers import Flux2Transformer2DModel
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from baselines.core.build import on_meta, parameter_count
from baselines.core.checkpoints.loading import load_into
from baselines.core.flow import FlowSchedule, LossWeight, seeded_noise
from baselines.core.rotary import rotary_table
from baselines.imagewam.flux2 import replay as replaying
from baselines.imagewam.flux2.config import (
    BEST_EXACT,
    PARAMETERS,
    PRESETS,
    PUBLISHED,
    RELEASED,
    Flux2Config,
    TextConfig,
    VaeConfig,
)
from baselines.imagewam.flux2.editor import make_editor, modulate, predict, run_editor
from baselines.imagewam.flux2.initialise import initialise_expert
from baselines.imagewam.flux2.layout import layout
from baselines.imagewam.flux2.loss import loss
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.flux2.packing import context_positions, image_positions
from baselines.imagewam.flux2.text import TextFeatures
from baselines.imagewam.inference import program
from baselines.imagewam.loss import Batch, Draws
from baselines.imagewam.model import State
from baselines.imagewam.packing import pack_context, readable, valid_mask
from baselines.imagewam.replay import fill_vae
from tests.golden_data import FOLDER, gap, golden, randomised, relative
from wambench.inference import Program

FILES = {"fp32": "model.pt", "bf16": "model.pt", "batch": "batch.model.pt"}
TINY = Flux2Config(
    double_blocks=2,
    single_blocks=3,
    heads=3,
    head_dim=16,
    rope_axes=(4, 4, 4, 4),
    image_channels=16,
    text_features=36,
    action_hidden=40,
    action_dim=7,
    proprio_dim=8,
    horizon=6,
    image_size=(32, 64),
    text_length=20,
    steps=3,
    vae=VaeConfig(channels=(32, 32, 32, 32), layers_per_block=1, latent_channels=4),
    text=TextConfig(
        hidden=12, mlp=24, layers=5, heads=2, kv_heads=1, head_dim=8, vocabulary=50,
        tied_embeddings=True, read_layers=(1, 2, 3),
    ),
)  # fmt: skip


@functools.cache
def published(name: str) -> tuple[Flux2WAM, dict[str, Tensor]]:
    """The golden's model, filled from its checkpoint by our loader, and the golden's tensors."""
    facts, tensors = golden("imagewam", name)
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    config = replaying.config_from_json(facts["config"])
    model = on_meta(lambda: Flux2WAM(config))
    load_into(model.trained(), FOLDER / "imagewam" / FILES[name], layout(config), dtype)
    vae = golden("imagewam", "fp32" if name == "bf16" else name)[1]
    fill_vae(model.image_encoder, vae, replaying.vae_entries(model)[1], dtype)
    return model, tensors


def inputs_of(name: str, tokens: bool = False) -> State:
    """The golden's inputs; ``tokens``: its image tokens instead of its image."""
    facts, tensors = golden("imagewam", name)
    model, _ = published(name)
    dtype = model.proprio_encoder.weight.dtype
    state = replaying.state_of(model, tensors, facts["config"], dtype)
    shape = (1, model.config.image_tokens, model.config.image_channels)
    noise = tensors.get(
        "in.noise_video_tokens", seeded_noise(facts["config"]["sample_seed"], shape)
    )
    state.target_noise = noise.to(dtype).expand(len(state.lengths), -1, -1)
    if tokens:
        state.image, state.tokens = None, by_sample(tensors, "ref_tokens").to(dtype)
    return state


def by_sample(tensors: dict[str, Tensor], name: str) -> Tensor:
    """A golden activation as a batch: recorded once, or per sample."""
    if f"mid.{name}" in tensors:
        return tensors[f"mid.{name}"]
    rows = [key for key in tensors if key.startswith("mid.s") and key.endswith(f".{name}")]
    return torch.cat([tensors[key] for key in sorted(rows)])


def run(model: Flux2WAM, state: State, preset: str = "released", imagine: int = 0) -> State:
    with torch.no_grad():
        return program(model, PRESETS[preset], imagine).run(state)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["fp32", "batch"])
def test_actions_and_imagined_image_equal_the_golden(name: str, preset: str) -> None:
    model, tensors = published(name)
    state = run(model, inputs_of(name), preset, imagine=model.config.steps)
    assert gap(state.action, tensors["out.action"].reshape(state.action.shape)) < 1e-5
    image = tensors["out.video_image"].reshape(state.target_image.shape)
    assert gap(state.target_image, image) < 2e-5
    assert gap(state.tokens, by_sample(tensors, "ref_tokens")) < 1e-5


@pytest.mark.parametrize("name", ["fp32", "batch"])
def test_caches_and_velocities_equal_the_golden(name: str) -> None:
    model, tensors = published(name)
    state = run(model, inputs_of(name, tokens=True))
    assert len(state.cache) == model.config.blocks
    for index, kv in enumerate(state.cache):
        double = model.config.double_blocks
        layer = f"double.{index}" if index < double else f"single.{index - double}"
        for letter, ours in zip("kv", kv, strict=True):
            assert gap(ours.flatten(2), by_sample(tensors, f"cache.{layer}.{letter}")) < 1e-5
    for index, ours in enumerate(state.velocities):
        assert gap(ours, by_sample(tensors, f"step{index}.velocity")) < 1e-5


def test_bf16_rounds_where_the_released_code_rounds() -> None:
    """Angles and timesteps are the golden's to the bit; actions to one unit in the last place.

    The rest is matrix products over q, k and v apart instead of fused, whose sums round otherwise.
    """
    model, tensors = published("bf16")
    config = model.config
    like = torch.zeros(1, dtype=torch.bfloat16)
    assert torch.equal(FlowSchedule(config.steps, 5.0).timesteps(like), tensors["sched.timesteps"])
    places = {
        "txt": context_positions(13, like),
        "img": image_positions(config.token_grid, 10.0, like),
    }
    for name, positions in places.items():
        cos, sin = rotary_table(positions, config.rope_axes, config.rope_theta, torch.bfloat16)
        theirs = tensors[f"mid.video_pre.freqs.{name}"][0, 0].float()
        assert torch.equal(cos, theirs[..., 0, 0]) and torch.equal(sin, theirs[..., 1, 0])
        fine, _ = rotary_table(positions.float(), config.rope_axes, 2000.0, torch.float32)
        assert gap(fine, cos) > 1e-3  # a clean table would be another model
    state = run(model, inputs_of("bf16", tokens=True))
    assert gap(state.action, tensors["out.action"][None]) <= 2**-6  # |action| < 4
    for index, ours in enumerate(state.velocities):
        assert gap(ours, tensors[f"mid.step{index}.velocity"]) <= 2**-6


@pytest.mark.parametrize("name", ["fp32", "batch", "bf16"])
def test_losses_and_gradients_equal_the_golden(name: str) -> None:
    model, tensors = published(name)
    facts, _ = golden("imagewam", name)
    dtype = model.proprio_encoder.weight.dtype
    # A bfloat16 is told to 2**-9: seen apart by 1.2e-4 on one processor, by 6.7e-4 on another.
    rel = 2**-9 if name == "bf16" else 1e-6
    video = tensors["train.in.video"].to(dtype)
    with torch.no_grad():
        source, target = (model.image_encoder.encode(video[:, :, frame]) for frame in (0, 1))
    batch = Batch(
        text=tensors["train.in.text_hidden_states"].to(dtype),
        lengths=tensors["train.in.text_attention_mask"].sum(1).tolist(),
        source=source,
        target=target,
        proprio=tensors["train.in.proprio"][:, 0].to(dtype),
        action=tensors["train.in.action"].to(dtype),
        action_is_pad=tensors["train.in.action_is_pad"],
    )
    draws = Draws(
        tensors["train.draw.noise_video"].to(dtype),
        tensors["train.draw.u_video"],
        tensors["train.draw.noise_action"].to(dtype),
        tensors["train.draw.u_action"],
    )
    model.requires_grad_(True)
    try:
        ours = loss(model, batch, draws)
        ours.total.backward()
        scalars = facts["scalars"]
        for value, key in (
            (ours.total, "loss"), (ours.video, "loss.loss_video"), (ours.action, "loss.loss_action")
        ):  # fmt: skip
            assert value.item() == pytest.approx(scalars[key], rel=rel)
        if name == "bf16":
            return
        gradients = dict(model.named_parameters())
        checked = 0
        for entry in layout(model.config):
            key = "train.grad." + entry.file.removeprefix("mot.")
            if key in tensors:
                got = torch.cat([gradients[part].grad for part in entry.model])
                assert relative(got, tensors[key]) < 1e-4, key
                checked += 1
        assert checked == sum(key.startswith("train.grad.") for key in tensors) >= 4
    finally:
        model.zero_grad(set_to_none=True)
        model.requires_grad_(False)


def test_draws_and_weights_are_the_released_ones() -> None:
    tensors = golden("imagewam", "batch")[1]
    weight = LossWeight(5.0)
    assert gap(weight(tensors["sched.train_weight_grid"]), tensors["sched.train_weight"]) == 0
    config = golden("imagewam", "batch")[0]["config"]
    like = Batch(
        text=torch.zeros(3, 1, 1), lengths=[1, 1, 1], source=torch.zeros(3, 20, 8),
        target=torch.zeros(3, 20, 8), proprio=torch.zeros(3, 5), action=torch.zeros(3, 13, 14),
        action_is_pad=torch.zeros(3, 13, dtype=torch.bool),
    )  # fmt: skip
    draws = Draws.sample(like, torch.Generator().manual_seed(config["train_seed"]))
    assert torch.equal(draws.target_noise, tensors["train.draw.noise_video"])
    assert torch.equal(draws.target_u, tensors["train.draw.u_video"])
    assert torch.equal(draws.action_noise, tensors["train.draw.noise_action"])
    assert torch.equal(draws.action_u, tensors["train.draw.u_action"])


def test_a_prefix_at_zero_is_the_prefix_of_inference() -> None:
    """The mended loss differs from the released one, and no longer from inference."""
    state = tiny_state([7, 20])
    run(tiny(), state)
    action_noise, goal = state.noise, torch.randn(state.tokens.shape)
    text = tiny().text_encoder(state.token_ids, None, all_layers=False)
    batch = Batch(
        text=text, lengths=state.lengths, source=state.tokens, target=goal, proprio=state.proprio,
        action=torch.zeros_like(action_noise),
        action_is_pad=torch.zeros(2, 6, dtype=torch.bool),
    )  # fmt: skip
    draws = Draws(torch.randn(goal.shape), torch.full((2,), 0.7), action_noise, torch.ones(2) * 0.4)
    released = loss(tiny(), batch, draws).action
    mended = loss(tiny(), batch, draws, prefix_at_zero=True).action
    assert abs(released - mended) > 1e-4

    sigma = 5 * 0.4 / (1 + 4 * 0.4)
    cached = run(tiny(), tiny_state([7, 20]))
    with torch.no_grad():
        mask = readable(valid_mask([8, 21], 21, text.device), 8 + 6)
        velocity = tiny().expert(sigma * action_noise, torch.full((2,), sigma), cached.cache, mask)
    error = ((velocity - action_noise) ** 2).mean(dim=(1, 2))
    by_hand = (LossWeight(5.0)(torch.full((2,), 1000 * sigma)) * error).mean()
    assert mended.item() == pytest.approx(by_hand.item(), rel=1e-4)


@functools.cache
def tiny() -> Flux2WAM:
    return randomised(Flux2WAM(TINY), seed=1)


def tiny_state(lengths: list[int], seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    size = len(lengths)
    ids = torch.randint(0, 50, (size, TINY.text_length), generator=generator)
    return State(
        proprio=torch.randn(size, 8, generator=generator),
        noise=torch.randn(size, 6, 7, generator=generator),
        lengths=lengths,
        token_ids=ids,
        image=torch.rand(size, 3, 32, 64, generator=generator) * 2 - 1,
        target_noise=torch.randn(size, TINY.image_tokens, 16, generator=generator),
    )


def test_best_exact_gives_the_released_actions() -> None:
    chosen = random.Random(0)
    for seed in range(8):
        lengths = [chosen.randint(1, TINY.text_length) for _ in range(chosen.choice([1, 1, 3]))]
        released = run(tiny(), tiny_state(lengths, seed), "released")
        exact = run(tiny(), tiny_state(lengths, seed), "best-exact")
        assert exact.context.shape[1] == max(lengths) + 1 <= released.context.shape[1]
        assert gap(exact.action, released.action) < 1e-5
        assert released.action.abs().max() > 0.5


def test_a_batch_is_its_samples() -> None:
    lengths = [3, 20, 11]
    for preset in PRESETS:
        whole = run(tiny(), tiny_state(lengths), preset)
        for row, length in enumerate(lengths):
            one = tiny_state(lengths)
            for name in ("proprio", "noise", "token_ids", "image"):
                setattr(one, name, getattr(one, name)[row : row + 1])
            one.lengths = [length]
            assert gap(run(tiny(), one, preset).action, whole.action[row : row + 1]) < 1e-5


def test_every_input_moves_the_action() -> None:
    base = run(tiny(), tiny_state([7])).action
    for name in ("proprio", "noise", "token_ids", "image"):
        state, other = tiny_state([7]), tiny_state([7], seed=9)
        setattr(state, name, getattr(other, name))
        assert gap(run(tiny(), state).action, base) > 1e-3, name


def test_padding_changes_nothing() -> None:
    state, other = tiny_state([7]), tiny_state([7])
    other.token_ids[:, 7:] = 3
    assert gap(run(tiny(), state).action, run(tiny(), other).action) < 1e-6


def test_imagining_costs_steps_and_leaves_the_action_alone() -> None:
    plain, imagining = run(tiny(), tiny_state([7])), run(tiny(), tiny_state([7]), imagine=4)
    assert torch.equal(plain.action, imagining.action)
    assert plain.target_image is None and imagining.target_image.shape == (1, 3, 32, 64)
    calls = program(tiny(), RELEASED, 4).calls()
    assert calls == {"text": 1, "vision": 1, "prefill": 1, "imagine": 4, "act": 3, "decode": 1}


def test_running_the_steps_one_by_one_is_the_inference() -> None:
    steps = program(tiny(), BEST_EXACT)
    state = tiny_state([7])
    with torch.no_grad():
        for step in steps.steps:
            step.run(state)
    assert torch.equal(state.action, run(tiny(), tiny_state([7]), "best-exact").action)
    assert steps.calls(warm_text=True) == {"vision": 1, "prefill": 1, "act": 3}
    assert program(tiny(), RELEASED).calls(warm_text=True)["text"] == 1  # encoded at each replan


def test_the_editor_is_diffusers_own() -> None:
    editor = randomised(make_editor(TINY), seed=2)
    theirs = Flux2Transformer2DModel.from_config(editor.config)
    theirs.load_state_dict(editor.state_dict())
    generator = torch.Generator().manual_seed(0)
    context = torch.randn(2, 5, 36, generator=generator)
    image = torch.randn(2, 8, 16, generator=generator)
    text_ids, image_ids = context_positions(5, context), image_positions((2, 4), 10.0, image)
    t = torch.tensor([0.3, 0.8])
    with torch.no_grad():
        modulation = modulate(editor, t)
        cache, _, hidden = run_editor(
            editor, context, image, torch.cat([text_ids, image_ids]), modulation, None
        )
        ours = predict(editor, hidden, modulation.time)
        theirs_out = theirs(image, context, t, image_ids, text_ids, return_dict=False)[0]
    assert len(cache) == 5 and gap(ours, theirs_out) < 1e-5


def test_the_text_features_are_transformers_own() -> None:
    ours = randomised(TextFeatures(TINY.text), seed=3)
    theirs = Qwen3ForCausalLM(
        Qwen3Config(
            hidden_size=12, intermediate_size=24, num_hidden_layers=5, num_attention_heads=2,
            num_key_value_heads=1, head_dim=8, vocab_size=50, tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    ).eval()  # fmt: skip
    theirs.model.load_state_dict(ours.model.state_dict())
    ids = torch.randint(0, 50, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(9)[None] < torch.tensor([[4], [9]])
    with torch.no_grad():
        states = theirs(ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        expected = torch.cat([states[index] for index in (1, 2, 3)], dim=-1)
        for all_layers in (True, False):
            got = ours(ids, mask, all_layers=all_layers)
            assert gap(got[mask], expected[mask]) < 1e-5


def test_proprioception_stands_behind_the_last_word() -> None:
    text = torch.arange(1.0, 9.0).reshape(2, 4, 1)
    packed = pack_context(text, [2, 4], torch.tensor([[-1.0], [-2.0]]))[..., 0]
    assert packed.tolist() == [[1, 2, -1, 3, 4], [5, 6, 7, 8, -2]]


def test_the_expert_starts_from_the_editor() -> None:
    model = randomised(Flux2WAM(TINY), seed=4)
    fresh = {name: p.clone() for name, p in model.expert.named_parameters()}
    taken = initialise_expert(model)
    state = dict(model.named_parameters())
    kept = [name for name in fresh if name.startswith(("action_encoder.", "head."))]
    assert taken == len(fresh) - len(kept) and all(
        torch.equal(fresh[name], state["expert." + name]) for name in kept
    )
    scale = state["expert.single_blocks.1.norm.key_norm.scale"]
    assert torch.equal(scale, state["editor.single_transformer_blocks.1.attn.norm_k.weight"])

    # By hand: rows from 48 + 48 + 48 fused, columns from 48 to 40, rescaled.
    block = "editor.transformer_blocks.0.attn."
    fused = torch.cat([state[block + f"to_{letter}.weight"] for letter in "qkv"])
    ours = state["expert.double_blocks.0.img_attn.qkv.weight"].detach().double().numpy()
    rows, at = fused.detach().double().numpy(), np.linspace(0, 47, 40)
    by_hand = np.stack([np.interp(at, np.arange(48), row) for row in rows]) * (48 / 40) ** 0.5
    assert np.abs(ours - by_hand).max() < 1e-5  # the places are float32


@pytest.mark.parametrize("size", PUBLISHED)
def test_published_sizes_build_and_run_without_memory(size: str) -> None:
    config = PUBLISHED[size]
    model = on_meta(lambda: Flux2WAM(config))
    counted = {name: parameter_count(part) for name, part in model.named_children()}
    assert counted == PARAMETERS[size]
    state = State(
        proprio=torch.empty(1, config.proprio_dim, device="meta"),
        noise=torch.empty(1, config.horizon, config.action_dim, device="meta"),
        lengths=[24],
        token_ids=torch.zeros(1, config.text_length, dtype=torch.long, device="meta"),
        image=torch.empty(1, 3, *config.image_size, device="meta"),
        target_noise=torch.empty(1, config.image_tokens, 128, device="meta"),
    )
    done: Program[State] = program(model, RELEASED, imagine_steps=1)
    with torch.no_grad():
        done.run(state)
    rows, columns = config.token_grid
    assert config.image_tokens == rows * columns == {"libero": 392, "robotwin": 288}[size[3:]]
    assert state.cache[0].k.shape == (1, 513 + rows * columns, config.heads, 128)
    assert state.action.shape == (1, 16, config.action_dim)
    assert state.target_image.shape == (1, 3, *config.image_size)


@pytest.mark.parametrize("name", ["fp32", "bf16", "batch"])
def test_replay_names_its_results_as_the_golden_does(name: str) -> None:
    facts, tensors = golden("imagewam", name)
    given = dict(tensors)
    if name == "bf16":
        fp32 = golden("imagewam", "fp32")[1]
        given |= {key: value for key, value in fp32.items() if key.startswith("weights.")}
    checkpoint = FOLDER / "imagewam" / FILES[name]
    out = replaying.replay(checkpoint, given, facts["config"], "imagewam-flux2", "released")
    assert out["out.action"].shape == tensors["out.action"].shape
    assert gap(out["out.action"], tensors["out.action"]) < (0.02 if name == "bf16" else 1e-5)
    caches = [key for key in tensors if ".cache." in key and "final" not in key]
    assert caches and set(caches) <= set(out)
