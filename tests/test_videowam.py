"""FastWAM against its golden tensors, against diffusers, and against itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import load_file
from torch import Tensor

from baselines.core.build import on_meta, parameter_count
from baselines.core.checkpoints.loading import load_into
from baselines.core.flow import FlowSchedule, LossWeight, shifted
from baselines.core.initialise import resized
from baselines.videowam import components
from baselines.videowam.blocks import embed_time, read_text
from baselines.videowam.config import (
    BEST_EXACT,
    PRESETS,
    RELEASED,
    FastWamConfig,
    Mode,
    Options,
    TextEncoderConfig,
    VaeConfig,
)
from baselines.videowam.experts import Sight, run_video, video_grid, video_rope, video_velocity
from baselines.videowam.initialise import initial_weights
from baselines.videowam.layout import layout
from baselines.videowam.loss import Batch, Clip, Draws, draw, loss
from baselines.videowam.modes import PROGRAMS
from baselines.videowam.modules import ActionExpert, FastWam, make_model
from baselines.videowam.replay import config_from_golden, config_from_shapes, replay
from baselines.videowam.state import State
from wambench.errors import UserError

GOLDEN = Path(__file__).parent / "golden" / "fastwam"
MODES: tuple[Mode, ...] = ("plain", "joint", "idm")
PRESET_OPTIONS = {"released": RELEASED, "best-exact": BEST_EXACT}
TOLERANCE = 1e-5

TINY = FastWamConfig(
    layers=2,
    heads=3,
    head_dim=20,
    video_ffn=70,
    latent_channels=4,
    patch=(1, 1, 2),
    freq_dim=16,
    text_dim=24,
    action_hidden=36,
    action_ffn=50,
    action_dim=5,
    proprio_dim=6,
    horizon=7,
    replan=3,
    steps=3,
    image_size=(32, 64),
    video_frames=13,
    text_length=9,
    vae=VaeConfig(
        base_dim=8,
        decoder_base_dim=8,
        latents_mean=(0.1, -0.2, 0.3, 0.0),
        latents_std=(0.5, 1.5, 1.0, 2.0),
    ),
    text_encoder=TextEncoderConfig(vocab=50, ffn=32, heads=2, head_dim=8, layers=2),
)


@cache
def golden(mode: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / f"{mode}.safetensors")


@cache
def golden_config(mode: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{mode}.json").read_text())["config"]


def golden_model(mode: str) -> FastWam:
    config = config_from_golden(golden_config(mode))
    model = on_meta(lambda: FastWam(config))
    load_into(model, GOLDEN / "model.pt", layout(config), torch.float32)
    return model


def replayed(mode: str, preset: str, **changed: Tensor | None) -> dict[str, Tensor]:
    """Replay a golden with some inputs changed, or removed by None."""
    inputs = {k: v for k, v in golden(mode).items() if k.startswith("in.")}
    inputs |= {f"in.{name}": tensor for name, tensor in changed.items() if tensor is not None}
    for name in (name for name, tensor in changed.items() if tensor is None):
        del inputs[f"in.{name}"]
    return replay(GOLDEN / "model.pt", inputs, golden_config(mode), f"fastwam-{mode}", preset)


@cache
def tiny_model() -> FastWam:
    """Random weights with which every part of the model moves the action."""
    torch.manual_seed(0)
    model = make_model(TINY).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if name.startswith(("vae", "text_encoder")):
            continue
        if "scale_shift_table" in name:
            weight.normal_(std=0.5)
        elif weight.dim() > 1:
            weight.mul_(1.7)
        elif "norm" in name:
            weight.add_(0.3 * torch.randn_like(weight))
    return model


def tiny_inputs(lengths: list[int], seed: int = 1) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    count = len(lengths)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=rng)

    positions = torch.arange(TINY.text_length)
    return {
        "proprio": normal(TINY.proprio_dim),
        "noise_action": normal(TINY.horizon, TINY.action_dim),
        "noise_video": normal(*TINY.latent_shape),
        "image": normal(3, *TINY.image_size).tanh(),
        "text_ids": torch.randint(0, 50, (count, TINY.text_length), generator=rng),
        "text_valid": positions < torch.tensor(lengths)[:, None],
    }


@torch.inference_mode()
def infer(mode: Mode, options: Options, inputs: dict[str, Tensor]) -> State:
    return PROGRAMS[mode](tiny_model(), options).run(State(**inputs))


# --- golden inference ----------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["released", "best-exact"])
@pytest.mark.parametrize("mode", MODES)
def test_golden_inference(mode: str, preset: str) -> None:
    out, expected = replayed(mode, preset), golden(mode)
    assert set(out) <= set(expected)
    for name, tensor in out.items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=TOLERANCE, msg=name)
    # Nothing that both sides could name was left out.
    left = {
        name
        for name in set(expected) - set(out)
        if name.startswith(("mid.", "out.")) and ".t_" not in name
    }
    skipped = {name for name in left if name.endswith("velocity_video")}
    assert left - skipped == {"out.action_text_masked"}
    assert bool(skipped) == (preset == "best-exact" and mode != "plain")


@pytest.mark.parametrize("mode", MODES)
def test_golden_with_raw_text_and_drawn_noise(mode: str) -> None:
    out = replayed(
        mode, "released", context=None, context_mask=None, noise_action=None, noise_video=None
    )
    torch.testing.assert_close(
        out["out.action"], golden(mode)["out.action"], rtol=0, atol=TOLERANCE
    )


@pytest.mark.parametrize("preset", ["released", "best-exact"])
@pytest.mark.parametrize("mode", MODES)
def test_golden_with_masked_pads(mode: str, preset: str) -> None:
    expected = golden(mode)
    out = replayed(mode, preset, context_mask=expected["in.text_valid"])
    torch.testing.assert_close(
        out["out.action"], expected["out.action_text_masked"], rtol=0, atol=TOLERANCE
    )


@pytest.mark.parametrize("mode", MODES)
def test_trimming_text_changes_the_action(mode: str) -> None:
    """Zeroed pads are visible, so there is no option that trims them."""
    valid = int(golden(mode)["in.text_valid"].sum())
    trimmed = golden(mode)["in.context"][:, :valid]
    out = replayed(mode, "best-exact", context=trimmed, context_mask=None)
    assert (out["out.action"] - golden(mode)["out.action"]).abs().max() > 0.05


def test_replay_of_a_batch_is_every_sample_alone() -> None:
    raw = golden("idm")["in.context_raw"]
    texts = torch.cat([raw, raw.flip(1), raw.roll(1, dims=2)])
    valid = torch.arange(raw.shape[1]) < torch.tensor([[4], [12], [7]])
    missing = {"context": None, "context_mask": None}
    together = replayed("idm", "released", context_raw=texts, text_valid=valid, **missing)
    assert together["out.action"].shape == (3, 16, 7)
    for i in range(3):
        one = slice(i, i + 1)
        alone = replayed(
            "idm", "released", context_raw=texts[one], text_valid=valid[one], **missing
        )
        torch.testing.assert_close(
            together["out.action"][i], alone["out.action"], rtol=0, atol=TOLERANCE
        )


def test_replay_of_another_size(tmp_path: Path) -> None:
    config = golden_config("plain") | {
        "layers": 2, "heads": 3, "head_dim": 44, "video_ffn": 200, "latent_ch": 6, "freq_dim": 48,
        "text_dim": 80, "action_hidden": 96, "action_ffn": 128, "action_dim": 14, "proprio_dim": 14,
        "horizon": 24, "ctx_len": 17, "steps": 7, "image_hw": [128, 64], "video_frames": 13,
    }  # fmt: skip
    sizes = config_from_golden(config)
    torch.manual_seed(0)
    weights = FastWam(sizes).state_dict()
    file: dict[str, dict[str, Tensor]] = {"mot": {}, "proprio_encoder": {}}
    for entry in layout(sizes):
        top, _, name = entry.file.partition(".")
        file[top][name] = weights[entry.model[0]]
    torch.save(file, tmp_path / "model.pt")
    inputs = {
        "in.first_frame_latent": torch.randn(4, 6, 1, 8, 4),
        "in.proprio": torch.randn(4, 14),
        "in.context_raw": torch.randn(4, 17, 80),
        "in.text_valid": torch.arange(17) < torch.tensor([[3], [17], [10], [8]]),
    }
    for mode in MODES:
        released, best = (
            replay(tmp_path / "model.pt", inputs, config, f"fastwam-{mode}", preset)
            for preset in PRESET_OPTIONS
        )
        assert released["out.action"].shape == (4, 24, 14)
        assert {"mid.step6.velocity_action"} <= set(best) <= set(released)
        for name, tensor in best.items():
            torch.testing.assert_close(tensor, released[name], rtol=0, atol=TOLERANCE)
    assert released["mid.cache.1.k"].shape == (4, 4 * 8, 132)
    assert released["out.video_latents"].shape == (4, 6, 4, 8, 4)


def test_replay_says_what_is_missing() -> None:
    with pytest.raises(UserError, match=r"in\.proprio is missing"):
        replayed("plain", "released", proprio=None)
    with pytest.raises(UserError, match="did you mean best-exact"):
        replayed("plain", "best-exat")
    with pytest.raises(UserError, match="image side 50"):
        config_from_golden(golden_config("plain") | {"image_hw": [50, 96]})
    with pytest.raises(UserError, match="heads: Field required"):
        config_from_golden({k: v for k, v in golden_config("plain").items() if k != "heads"})


def test_golden_schedule() -> None:
    expected = golden("plain")
    for schedule, name in (
        (FlowSchedule(10, 5.0), "sched"),
        (FlowSchedule(4, 3.0), "sched.shift3_steps4"),
    ):
        times = schedule.timesteps(torch.zeros(1))
        torch.testing.assert_close(times, expected[f"{name}.timesteps"])
        for index, delta in enumerate(expected[f"{name}.deltas"]):
            torch.testing.assert_close(schedule.step(torch.zeros(()), torch.ones(()), index), delta)
    weights = LossWeight(5.0)(expected["sched.train_weight_grid"])
    torch.testing.assert_close(weights, expected["sched.train_weight"])


# --- golden training -----------------------------------------------------------------------------


def golden_batch(mode: str) -> Batch:
    g = golden(mode)
    return Batch(
        latents=g["train.in.latents"],
        action=g["train.in.action"],
        proprio=g["train.in.proprio"][:, 0],
        context=g["train.in.context"],
        image_is_pad=g["train.in.image_is_pad"],
        action_is_pad=g["train.in.action_is_pad"],
    )


def golden_draws(mode: str) -> Draws:
    g = {name.removeprefix("train.draw."): t for name, t in golden(mode).items()}
    clip = None
    if mode == "idm":
        t = shifted(g["u_video_cond"], 5.0) * 1000
        clip = Clip(g["cond_noised"], t, g["noise_video_cond"])
    return Draws(g["noise_video"], g["t_video"], g["noise_action"], g["t_action"], clip)


@pytest.mark.parametrize("mode", MODES)
def test_golden_loss_and_gradients(mode: Mode) -> None:
    expected, model = golden(mode), golden_model(mode).requires_grad_()
    result = loss(model, golden_batch(mode), golden_draws(mode), mode)
    for name, value in (
        ("loss", result.total),
        ("loss_video", result.video),
        ("loss_action", result.action),
    ):
        torch.testing.assert_close(value, expected[f"train.out.{name}"][0], rtol=1e-6, atol=0)
    result.total.backward()
    names = {entry.file.removeprefix("mot."): entry.model[0] for entry in layout(model.config)}
    parameters = dict(model.named_parameters())
    compared = 0
    for name, tensor in expected.items():
        if name.startswith("train.grad."):
            gradient = parameters[names[name.removeprefix("train.grad.")]].grad
            assert (gradient - tensor).norm() <= 1e-4 * tensor.norm(), name
            compared += 1
    assert compared == 12


@pytest.mark.parametrize("mode", MODES)
def test_golden_loss_without_padding(mode: Mode) -> None:
    padded = golden_batch(mode)
    batch = replace(
        padded,
        image_is_pad=torch.zeros_like(padded.image_is_pad),
        action_is_pad=torch.zeros_like(padded.action_is_pad),
    )
    result = loss(golden_model(mode), batch, golden_draws(mode), mode)
    torch.testing.assert_close(
        torch.stack([result.total, result.video, result.action]),
        golden(mode)["train.out.nopad"],
        rtol=1e-6,
        atol=0,
    )


@pytest.mark.parametrize(("variant", "noised"), [("cond_clean", False), ("cond_all_noised", True)])
def test_golden_loss_of_clean_and_noised_clips(variant: str, noised: bool) -> None:
    draws = golden_draws("idm")
    assert draws.clip is not None
    everywhere = torch.full_like(draws.clip.noised, noised)
    clip = Clip(everywhere, draws.clip.t, draws.clip.noise) if noised else None
    draws = replace(draws, clip=clip)
    result = loss(golden_model("idm"), golden_batch("idm"), draws, "idm")
    torch.testing.assert_close(
        torch.stack([result.total, result.video, result.action]),
        golden("idm")[f"train.out.{variant}"],
        rtol=1e-6,
        atol=0,
    )


@pytest.mark.parametrize("mode", MODES)
def test_draws_come_in_the_reference_order(mode: Mode) -> None:
    generator = torch.Generator().manual_seed(golden_config(mode)["train_seed"])
    drawn, expected = draw(golden_batch(mode), mode, 5.0, generator), golden_draws(mode)
    for name in ("noise_video", "t_video", "noise_action", "t_action"):
        assert torch.equal(getattr(drawn, name), getattr(expected, name)), name
    assert (drawn.clip is None) == (mode != "idm")
    if drawn.clip is not None and expected.clip is not None:
        for name in ("noised", "t", "noise"):
            assert torch.equal(getattr(drawn.clip, name), getattr(expected.clip, name)), name


# --- exactness -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_savings_are_exact(mode: Mode) -> None:
    inputs = tiny_inputs([2, 9, 5])
    released = infer(mode, RELEASED, inputs)
    for saving in Options.model_fields:
        options = RELEASED.model_copy(update={saving: getattr(BEST_EXACT, saving)})
        saved = infer(mode, options, inputs)
        torch.testing.assert_close(saved.action, released.action, rtol=0, atol=TOLERANCE)
    best = infer(mode, BEST_EXACT, inputs)
    torch.testing.assert_close(best.action, released.action, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(best.video, released.video, rtol=0, atol=TOLERANCE)
    assert hasattr(released, "frames") == (mode == "idm")
    assert not hasattr(best, "frames")


def test_the_modes_differ_in_action_and_agree_on_the_video() -> None:
    inputs = tiny_inputs([4])
    states = {mode: infer(mode, RELEASED, inputs) for mode in MODES}
    torch.testing.assert_close(states["joint"].video, states["idm"].video, rtol=0, atol=TOLERANCE)
    for one, other in (("plain", "joint"), ("joint", "idm"), ("plain", "idm")):
        assert (states[one].action - states[other].action).abs().max() > 1e-3


@pytest.mark.parametrize("preset", PRESET_OPTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_a_batch_is_every_sample_alone(mode: Mode, preset: str) -> None:
    options = PRESET_OPTIONS[preset]
    inputs = tiny_inputs([9, 3, 6])
    together = infer(mode, options, inputs).action
    for i in range(3):
        alone = infer(mode, options, {name: t[i : i + 1] for name, t in inputs.items()}).action
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=TOLERANCE)


def test_a_kept_instruction_serves_the_next_inference() -> None:
    first, second = tiny_inputs([6], seed=1), tiny_inputs([6], seed=2)
    second |= {name: first[name] for name in ("text_ids", "text_valid")}
    program = PROGRAMS["idm"](tiny_model(), BEST_EXACT)
    with torch.inference_mode():
        state = State(**{k: v for k, v in second.items() if not k.startswith("text")})
        state.text = program.run(State(**first)).text
        program.run(state, warm_text=True)
    expected = infer("idm", BEST_EXACT, second)
    torch.testing.assert_close(state.action, expected.action, rtol=0, atol=TOLERANCE)
    assert PROGRAMS["idm"](tiny_model(), RELEASED).calls(warm_text=True)["text"] == 1


def test_calls_of_every_stage() -> None:
    def calls(mode: Mode, options: Options, warm_text: bool = False) -> dict[str, int]:
        return dict(PROGRAMS[mode](tiny_model(), options).calls(warm_text=warm_text))

    base = {"text": 1, "vision": 1, "act": 3}
    assert calls("plain", RELEASED) == base | {"prefill": 1}
    assert calls("joint", RELEASED) == base | {"imagine": 3}
    assert calls("joint", BEST_EXACT) == base | {"imagine": 3, "prefill": 2}
    assert calls("idm", RELEASED) == base | {"imagine": 3, "prefill": 1, "decode": 1}
    warm = {"vision": 1, "act": 3, "imagine": 3, "prefill": 3}
    assert calls("idm", BEST_EXACT, warm_text=True) == warm


def test_idm_may_imagine_in_fewer_steps() -> None:
    model = on_meta(lambda: FastWam(TINY.model_copy(update={"video_steps": 1})))
    assert PROGRAMS["idm"](model, BEST_EXACT).calls()["imagine"] == 1
    assert PROGRAMS["joint"](model, BEST_EXACT).calls()["imagine"] == TINY.steps


# --- against diffusers and transformers ----------------------------------------------------------


@torch.inference_mode()
def test_video_forward_equals_diffusers() -> None:
    model = tiny_model()
    stock = WanTransformer3DModel(**model.video.config)
    stock.load_state_dict(model.video.state_dict())
    latents, text = torch.randn(2, *TINY.latent_shape), torch.randn(2, 5, TINY.text_dim)
    t = torch.tensor([300.0, 870.0])
    expected = stock(latents, t, text).sample

    grid = video_grid(model.video, latents)
    count = grid.frames * grid.frame_tokens
    time = embed_time(model.video.condition_embedder, t[:, None], (count,))
    rope = video_rope(grid, TINY.head_dim, latents.device)
    x, _ = run_video(model.video, latents, time, rope, Sight(read_text(model.video, text)))
    torch.testing.assert_close(
        video_velocity(model.video, x, time, grid), expected, rtol=0, atol=TOLERANCE
    )
    # With a timestep per token, as TI2V-5B takes it.
    per_token = torch.stack([torch.full((count,), 0.0), torch.linspace(0, 990, count)])
    expected = stock(latents, per_token, text).sample
    time = embed_time(model.video.condition_embedder, per_token, [1] * count)
    x, _ = run_video(model.video, latents, time, rope, Sight(read_text(model.video, text)))
    torch.testing.assert_close(
        video_velocity(model.video, x, time, grid), expected, rtol=0, atol=TOLERANCE
    )


@torch.inference_mode()
def test_text_encoder_sees_no_pads() -> None:
    model, inputs = tiny_model(), tiny_inputs([4, 9])
    ids, valid = inputs["text_ids"], inputs["text_valid"]
    assert model.text_encoder is not None
    expected = model.text_encoder(input_ids=ids, attention_mask=valid.long()).last_hidden_state
    hidden = components.encode_text(model, ids, valid)
    torch.testing.assert_close(hidden[valid], expected[valid], rtol=0, atol=TOLERANCE)
    assert not torch.equal(hidden[0], components.encode_text(model, ids, valid | True)[0])


@torch.inference_mode()
def test_latents_are_normalised() -> None:
    model, image = tiny_model(), tiny_inputs([1])["image"]
    assert model.vae is not None
    raw = model.vae.encode(image[:, :, None]).latent_dist.mode()
    latents = components.encode_image(model, image)
    assert latents.shape == (1, 4, 1, 2, 4)
    torch.testing.assert_close(latents[:, 1] * 1.5 - 0.2, raw[:, 1])
    torch.testing.assert_close(
        components.decode_video(model, latents), model.vae.decode(raw).sample
    )


# --- sizes, layout, initialisation ---------------------------------------------------------------


@cache
def published(name: str) -> FastWam:
    return on_meta(lambda: make_model(PRESETS[name]))


@pytest.mark.parametrize("name", PRESETS)
def test_published_sizes(name: str) -> None:
    start = time.perf_counter()
    model, config = published.__wrapped__(name), PRESETS[name]
    assert time.perf_counter() - start < 3
    assert parameter_count(model.video) == 4_999_787_712
    more = 2 * config.action_hidden + 1  # per action channel beyond LIBERO's seven
    assert parameter_count(model.action) == 1_020_886_023 + more * (config.action_dim - 7)
    assert parameter_count(model.vae) == 704_688_668
    assert parameter_count(model.text_encoder) == 5_680_910_336


def test_published_tokens() -> None:
    assert (PRESETS["libero"].latent_frames, PRESETS["libero"].frame_tokens) == (3, 98)
    assert (PRESETS["robotwin"].latent_frames, PRESETS["robotwin"].frame_tokens) == (3, 120)


def test_layout_covers_model_and_checkpoint() -> None:
    raw = torch.load(GOLDEN / "model.pt", weights_only=True)
    shapes = {f"mot.{name}": tensor.shape for name, tensor in raw["mot"].items()}
    shapes |= {f"proprio_encoder.{k}": v.shape for k, v in raw["proprio_encoder"].items()}
    config = config_from_golden(golden_config("plain"))
    entries = layout(config)
    assert sorted(entry.file for entry in entries) == sorted(shapes)
    model = on_meta(lambda: FastWam(config)).state_dict()
    assert sorted(name for entry in entries for name in entry.model) == sorted(model)
    assert all(model[entry.model[0]].shape == shapes[entry.file] for entry in entries)


def test_shapes_tell_the_sizes() -> None:
    model = published("robotwin").state_dict()
    config = PRESETS["robotwin"]
    shapes = {entry.file: model[entry.model[0]].shape for entry in layout(config)}
    found = config_from_shapes(shapes)
    told = {"image_size", "replan", "vae", "text_encoder"}  # what shapes cannot tell
    assert found.model_dump(exclude=told) == config.model_dump(exclude=told)
    del shapes["proprio_encoder.weight"]
    with pytest.raises(UserError, match=r"proprio_encoder\.weight"):
        config_from_shapes(shapes)
    flat = dict.fromkeys(shapes, torch.Size([3]))
    with pytest.raises(UserError, match="other dimensions"):
        config_from_shapes(flat)


def test_initialisation_from_the_video() -> None:
    model = tiny_model()
    weights = initial_weights(model.video, on_meta(lambda: ActionExpert(TINY)))
    missing, unexpected = ActionExpert(TINY).load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) == {
        f"{part}.{name}" for part in ("action_encoder", "head") for name in ("weight", "bias")
    }
    video = model.video.state_dict()
    norm = "blocks.1.attn1.norm_q.weight"  # attention is as wide as the video's
    assert torch.equal(weights[norm], video[norm])
    name = "blocks.1.attn2.to_q.weight"
    assert weights[name].shape == (60, 36)
    assert torch.equal(weights[name], resized(video[name], weights[name].shape))
    assert weights["blocks.0.scale_shift_table"].shape == (1, 6, 36)


# --- housekeeping --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_bfloat16_runs(mode: Mode) -> None:
    model = make_model(TINY).eval().requires_grad_(False).to(torch.bfloat16)
    inputs = {
        name: tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
        for name, tensor in tiny_inputs([3, 9]).items()
    }
    for options in (RELEASED, BEST_EXACT):
        state = PROGRAMS[mode](model, options).run(State(**inputs))
        assert state.action.dtype == torch.bfloat16
        assert state.action.isfinite().all()


def test_config_needs_no_torch() -> None:
    code = "import sys, baselines.videowam.config; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_misfit_sizes_are_refused() -> None:
    for wrong in ({"image_size": (40, 64)}, {"video_frames": 8}, {"patch": (2, 2, 2)}):
        with pytest.raises(ValueError, match=r"must be|no multiple"):
            FastWamConfig(**TINY.model_dump() | wrong)
