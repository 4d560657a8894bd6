"""SmolVLA against a version without a cache that shares no forward pass, and what feeds it."""

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.core.build import on_meta, parameter_count
from baselines.core.checkpoints.mapping import to_file
from baselines.core.checkpoints.writing import write_safetensors
from baselines.vla.smolvla.config import BEST_EXACT, RELEASED, Options, SmolVLAConfig
from baselines.vla.smolvla.images import fitted
from baselines.vla.smolvla.layout import published_layout
from baselines.vla.smolvla.modules import SmolVLA
from baselines.vla.smolvla.policy import NORMALISER, _prompt, smolvla
from baselines.vla.smolvla.program import State, program
from baselines.vla.statistics import lerobot_statistics
from tests.golden_data import gap, randomised
from tests.releases import SMOLVLA, Release, observation, release
from wambench import UserError
from wambench.attention import Reading, Token
from wambench.protocols import protocol

SAMPLES, CAMERAS = 3, 2
LENGTHS = (9, 4, 7)
STEPS = 4  # whose times are exact in binary: the sinusoids tell a time from its neighbour


@pytest.fixture(scope="module")
def model() -> SmolVLA:
    return randomised(SmolVLA(SMOLVLA.model_copy(update={"steps": STEPS})), seed=7)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return release("smolvla", tmp_path_factory.mktemp("smolvla"))


def batch(rows: slice = slice(None)) -> State:
    draw = torch.Generator().manual_seed(1)
    side = SMOLVLA.vision.image
    images = torch.rand(SAMPLES, CAMERAS, 3, side, side, generator=draw) * 2 - 1
    shape = (SAMPLES, SMOLVLA.text_length)
    ids = torch.randint(0, SMOLVLA.vocabulary, shape, generator=draw)
    noise = torch.randn(SAMPLES, SMOLVLA.horizon, SMOLVLA.action_dim, generator=draw)
    state = torch.randn(SAMPLES, SMOLVLA.state_dim, generator=draw)
    return State(images[rows], ids[rows], LENGTHS[rows], noise[rows], state[rows])


@torch.inference_mode()
def acted(model: SmolVLA, options: Options, rows: slice = slice(None)) -> Tensor:
    state = batch(rows)
    program(model, options).run(state)
    return state.action


# --- a version without a cache --------------------------------------------------------------------


def turned(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary embedding [T, heads, head_dim] as a product of complex numbers, float64."""
    low, high = x.double().chunk(2, dim=-1)
    half = low.shape[-1]
    angle = positions[:, None, None] / 10000 ** (torch.arange(half) / half)
    out = torch.complex(low, high) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([out.real, out.imag], dim=-1).to(x.dtype)


def read(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    """An explicit softmax, head by head; k and v have fewer heads."""
    group = q.shape[1] // k.shape[1]
    rows = []
    for head in range(q.shape[1]):
        logits = q[:, head] @ k[:, head // group].T / math.sqrt(q.shape[-1])
        weights = logits.masked_fill(~allowed, -math.inf).softmax(-1)
        rows.append(weights @ v[:, head // group])
    return torch.cat(rows, dim=-1)


def normed(norm: Any, x: Tensor) -> Tensor:
    return norm.weight * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def heads(projection: Any, x: Tensor) -> Tensor:
    return (x @ projection.weight.T).unflatten(-1, (-1, SMOLVLA.head_dim))


def after(layer: Any, x: Tensor, h: Tensor) -> Tensor:
    x = x + h @ layer.self_attn.o_proj.weight.T
    h, m = normed(layer.post_attention_layernorm, x), layer.mlp
    gated = torch.nn.functional.silu(h @ m.gate_proj.weight.T) * (h @ m.up_proj.weight.T)
    return x + gated @ m.down_proj.weight.T


def velocity(model: SmolVLA, state: State, row: int, x: Tensor, time: float) -> Tensor:
    """Both models over one sample side by side, all tokens in one matrix, nothing kept."""
    config, part = model.config, model.embeddings
    whole = torch.ones(CAMERAS, *[config.vision.image // config.vision.patch] * 2).bool()
    seen = model.vision.tower(state.images[row], patch_attention_mask=whole).last_hidden_state
    images = model.vision.connector(seen).flatten(0, 1)
    words = model.language.embed_tokens(state.token_ids[row, : state.lengths[row]])
    prefix = torch.cat([images, words]) * config.width**0.5
    prefix = torch.cat([prefix, part.state_proj(state.state[row])[None]])
    periods = 4e-3 * 1000 ** np.linspace(0, 1, config.expert_width // 2)
    angle = torch.from_numpy(2 * math.pi * time / periods)
    when = torch.cat([angle.sin(), angle.cos()]).float().expand(config.horizon, -1)
    chunk = torch.cat([part.action_in_proj(x), when], dim=1)
    chunk = part.action_time_mlp_out(torch.nn.functional.silu(part.action_time_mlp_in(chunk)))

    p, h = len(prefix), len(chunk)
    allowed = torch.ones(p + h, p + h, dtype=torch.bool)
    allowed[: p - 1, p - 1 :] = False  # images and text see neither state nor actions
    allowed[p - 1 :, p:] = torch.ones(h + 1, h).tril(-1)
    positions = torch.arange(p + h)
    for index, (low, high) in enumerate(
        zip(model.language.layers, model.expert.layers, strict=True)
    ):
        a, b = normed(low.input_layernorm, prefix), normed(high.input_layernorm, chunk)
        q, k, v = (heads(getattr(low.self_attn, n), a) for n in ("q_proj", "k_proj", "v_proj"))
        q, k = turned(q, positions[:p]), turned(k, positions[:p])
        own = heads(high.self_attn.q_proj, b)
        if index % 2:
            out = read(q, k, v, allowed[:p, :p])
            k, v = (
                heads(getattr(high.self_attn, n), kept.flatten(1))
                for n, kept in (("k_proj", k), ("v_proj", v))
            )
            wanted = read(turned(own, positions[:h]), k, v, allowed[p:, :p])
        else:
            k = torch.cat([k, turned(heads(high.self_attn.k_proj, b), positions[p:])])
            v = torch.cat([v, heads(high.self_attn.v_proj, b)])
            both = read(torch.cat([q, turned(own, positions[p:])]), k, v, allowed)
            out, wanted = both[:p], both[p:]
        prefix, chunk = after(low, prefix, out), after(high, chunk, wanted)
    return part.action_out_proj(normed(model.expert.norm, chunk))


@pytest.mark.parametrize("options", [RELEASED, BEST_EXACT], ids=["released", "best-exact"])
def test_actions_are_those_without_a_cache(model: SmolVLA, options: Options) -> None:
    state = batch()
    found = acted(model, options)
    with torch.inference_mode():
        for row in range(SAMPLES):
            x = state.noise[row]
            for index in range(STEPS):
                x = x - velocity(model, state, row, x, 1 - index / STEPS) / STEPS
            assert gap(found[row], x) < 1e-5  # of actions up to 5
            assert gap(x, state.noise[row]) > 0.3


@pytest.mark.parametrize("name", Options.model_fields)
def test_every_saving_leaves_the_actions(model: SmolVLA, name: str) -> None:
    plain, saved = acted(model, RELEASED), Options(**{name: True})
    assert gap(acted(model, saved), plain) < 1e-5
    for row in range(SAMPLES):
        alone = slice(row, row + 1)
        assert gap(acted(model, saved, alone), plain[alone]) < 1e-5


def test_an_action_sees_none_behind_it(model: SmolVLA) -> None:
    state, changed = batch(), batch()
    changed.noise = changed.noise.clone()
    changed.noise[:, 3] += 1
    with torch.inference_mode():
        for one in (state, changed):
            program(model, RELEASED).run(one)
    assert torch.equal(state.action[:, :3], changed.action[:, :3])
    assert ((state.action - changed.action)[:, 3:].abs().amax(dim=(0, 2)) > 1e-4).all()


# --- published size, files, pictures --------------------------------------------------------------


def test_as_many_parameters_as_published() -> None:
    """lerobot tells both numbers when it begins to train SmolVLA-base."""
    built = on_meta(lambda: SmolVLA(SmolVLAConfig()))
    assert parameter_count(built) == 450_046_176
    trained = parameter_count(built.expert) + parameter_count(built.embeddings)
    assert trained == 99_880_992
    names = {entry.file for entry in published_layout(SmolVLAConfig())}
    base = "model.vlm_with_expert."
    assert len(names) == len(built.state_dict())
    assert {
        f"{base}vlm.model.vision_model.embeddings.patch_embedding.weight",
        f"{base}vlm.model.connector.modality_projection.proj.weight",
        f"{base}vlm.model.text_model.layers.15.mlp.up_proj.weight",
        f"{base}vlm.lm_head.weight",
        f"{base}lm_expert.layers.15.self_attn.k_proj.weight",
        "model.state_proj.bias",
        "model.action_time_mlp_in.weight",
    } <= names
    assert not any("lm_expert.embed_tokens" in name or "layers.16" in name for name in names)


def test_a_file_from_before_04_is_refused(tiny: Release, tmp_path: Path) -> None:
    tensors = to_file(tiny.model.state_dict(), published_layout(SMOLVLA))
    tensors["normalize_inputs.buffer_observation_state.mean"] = torch.zeros(8)
    write_safetensors(tmp_path / "model.safetensors", tensors, {})
    policy = tiny.policy(checkpoint=tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="normalize_inputs"):
        policy.fill(policy.build(), torch.float32)


def test_statistics_lie_beside_the_checkpoint(tiny: Release, tmp_path: Path) -> None:
    found = tiny.policy().statistics()
    assert found.state.mean.shape == (8,) and found.action.std.shape == (7,)
    once = found.action.normalise(found.action.mean + found.action.std, "z_score")
    assert np.allclose(once, 1)
    beside = {"checkpoint": tmp_path / "model.safetensors", "statistics": None}
    with pytest.raises(UserError, match=f"{NORMALISER}' is missing"):
        tiny.policy(**beside).statistics()
    shutil.copy(tiny.options["statistics"], tmp_path / NORMALISER)
    assert np.array_equal(tiny.policy(**beside).statistics().state.mean, found.state.mean)
    path = tmp_path / "stats.safetensors"
    write_safetensors(path, {"action.mean": torch.zeros(7), "action.std": torch.ones(7)}, {})
    with pytest.raises(UserError, match=r"'observation\.state' must be 8 numbers"):
        lerobot_statistics(path, 8, 7)
    path.write_bytes(b"no tensors")
    with pytest.raises(UserError, match="no readable safetensors"):
        lerobot_statistics(path, 8, 7)


def test_pictures_are_fitted() -> None:
    pixels = torch.randint(0, 256, (2, 3, 16, 32), dtype=torch.uint8)
    wide = fitted(pixels, 32)
    assert wide.shape == (2, 3, 32, 32) and wide.dtype == torch.float32
    assert (wide[:, :, :16] == -1).all()  # black above
    assert gap(wide[:, :, 16:], pixels / 255 * 2 - 1) < 1e-6
    tall = fitted(pixels.transpose(2, 3), 32)
    assert (tall[..., :16] == -1).all() and gap(tall.transpose(2, 3), wide) < 1e-6
    larger = fitted(torch.full((1, 3, 7, 7), 255, dtype=torch.uint8), 32)
    assert (larger == 1).all()


def test_any_size_of_picture_will_do(tiny: Release) -> None:
    assert tiny.policy().spec.image_size is None
    policy = tiny.policy()
    policy.load()
    chunks = [policy.act([observation(0, "pick up the bowl", side)])[0] for side in (24, 28)]
    assert all(chunk.shape == (6, 7) and np.isfinite(chunk).all() for chunk in chunks)


def test_as_lerobot_evaluates_it() -> None:
    spec, rules = smolvla().spec, protocol("lerobot")
    assert (spec.replan_steps, spec.horizon, spec.track) == (1, 50, "published")
    assert spec.orientation == rules.orientation
    assert _prompt("open the drawer") == _prompt("open the drawer\n") == "open the drawer\n"


# --- labels ---------------------------------------------------------------------------------------


def first_keys(policy: Any, seen: Any) -> Reading:
    """What the first layer reads at the first step."""
    told: list[Reading] = []
    inference = policy.inference("loaded")
    with inference.attention.watch(told.append), torch.inference_mode():
        inference.program.run(inference.state([seen]))
    assert [(one.layer, one.part) for one in told[:4]] == [
        (0, "self"), (0, "cross"), (1, "self"), (1, "cross")
    ]  # fmt: skip
    return told[0]


def moved(one: Reading, other: Reading) -> set[tuple[Token, Token]]:
    is_other = (one.keys != other.keys).flatten(2).any(-1)[0]
    pairs = zip(one.tokens, other.tokens, is_other, strict=True)
    return {(a, b) for a, b, is_moved in pairs if is_moved}


def test_keys_are_labelled_by_what_moves_them(tiny: Release) -> None:
    policy = tiny.policy(noise_seed=None)
    policy.load()
    with torch.no_grad():  # so that a patch moves its own token alone
        for layer in policy._ready.model.vision.tower.encoder.layers:
            layer.self_attn.out_proj.weight.zero_()
    plain = observation(0, "pick up the black bowl", 64)
    before = first_keys(policy, plain)
    side = SMOLVLA.vision.side
    for camera in plain.images:
        for row, column in ((0, side - 1), (side - 1, 0), (1, 2)):
            image = plain.images[camera].copy()
            high, wide = (
                slice((i * 64 + 24) // side, (i * 64 + 40) // side) for i in (row, column)
            )
            image[high, wide] ^= 0xFF
            painted = dataclasses.replace(plain, images={**plain.images, camera: image})
            token = Token("image", camera, 0, row, column)
            assert moved(before, first_keys(policy, painted)) == {(token, token)}
    other = dataclasses.replace(plain, instruction="pick up the stove bowl")
    assert moved(before, first_keys(policy, other)) == {
        (Token("text", "black"), Token("text", "stove"))
    }
