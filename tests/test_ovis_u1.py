"""ImageWAM on Ovis-U1 against golden tensors of the authors' code, and against itself."""

import functools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from baselines.core.build import on_meta, parameter_count
from baselines.core.checkpoints.loading import load_into
from baselines.core.flow import FlowSchedule, LossWeight
from baselines.core.tokens import StandIn
from baselines.imagewam.inference import program
from baselines.imagewam.loss import Batch, Draws
from baselines.imagewam.model import State
from baselines.imagewam.ovis_u1 import condition_replay, cost
from baselines.imagewam.ovis_u1 import replay as replaying
from baselines.imagewam.ovis_u1.blocks import Masks
from baselines.imagewam.ovis_u1.condition import unsigned
from baselines.imagewam.ovis_u1.config import (
    BEST_EXACT,
    PARAMETERS,
    PRESETS,
    PUBLISHED,
    RELEASED,
    OvisU1Config,
)
from baselines.imagewam.ovis_u1.eye import grouped, patches_of
from baselines.imagewam.ovis_u1.initialise import initialise_expert
from baselines.imagewam.ovis_u1.layout import condition_layout, layout
from baselines.imagewam.ovis_u1.loss import loss
from baselines.imagewam.ovis_u1.model import OvisU1WAM
from baselines.imagewam.ovis_u1.packing import action_positions, rope_of, valid_context
from baselines.imagewam.ovis_u1.prompt import AroundPicture, around_picture
from baselines.imagewam.packing import readable
from baselines.imagewam.replay import fill_vae
from tests import naive_yak
from tests.conftest import CommandLine
from tests.golden_data import FOLDER, gap, golden, randomised, relative
from tests.releases import OVIS_U1, _tokenizer
from wambench import UserError, plugins

CHECKPOINT = FOLDER / "ovis-u1" / "model.pt"


@functools.cache
def published() -> tuple[OvisU1WAM, dict[str, Tensor]]:
    """The golden's model, filled from its checkpoint by our loader, and the golden's tensors."""
    facts, tensors = golden("ovis-u1", "golden")
    config = replaying.config_from_json(facts["config"])
    model = on_meta(lambda: OvisU1WAM(config))
    load_into(model.trained(), CHECKPOINT, layout(config), torch.float32)
    fill_vae(model.image_encoder, tensors, replaying.vae_entries(model)[1], torch.float32)
    return model, tensors


def inputs(tokens: bool = False) -> State:
    """The golden's inputs; ``tokens``: its image tokens instead of its image."""
    facts, tensors = golden("ovis-u1", "golden")
    state = replaying.state_of(published()[0], tensors, facts["config"], torch.float32)
    state.target_noise = tensors["in.noise_video_tokens"].expand(len(state.lengths), -1, -1)
    if tokens:
        state.image, state.tokens = None, by_sample("ref_tokens")
    return state


def by_sample(name: str) -> Tensor:
    """A golden activation as a batch."""
    tensors = golden("ovis-u1", "golden")[1]
    return torch.cat([tensors[f"mid.s{row}.{name}"] for row in range(2)])


def run(model: OvisU1WAM, state: State, preset: str = "released", imagine: int = 0) -> State:
    with torch.no_grad():
        return program(model, PRESETS[preset], imagine).run(state)


@pytest.mark.parametrize("preset", PRESETS)
def test_actions_and_imagined_image_equal_the_golden(preset: str) -> None:
    model, tensors = published()
    state = run(model, inputs(), preset, imagine=model.config.steps)
    assert gap(state.action, tensors["out.action"]) < 1e-5
    assert gap(state.action, tensors["out.action_batched"]) < 1e-5
    assert gap(state.target_image, tensors["out.video_image"]) < 2e-5
    assert gap(state.tokens, by_sample("ref_tokens")) < 1e-5
    assert gap(state.context, by_sample("packed_context")) < 1e-5


def test_caches_and_velocities_equal_the_golden() -> None:
    """Values go up to 15; the authors' own under other kernels differ by 2.2e-5."""
    model, _ = published()
    state = run(model, inputs(tokens=True))
    names = replaying.layer_names(model.config)
    assert len(state.cache) == len(names) == 7
    for name, kv in zip(names, state.cache, strict=True):
        for letter, ours in zip("kv", kv, strict=True):
            assert gap(ours.flatten(2), by_sample(f"cache.{name}{letter}")) < 2e-5
    for index, ours in enumerate(state.velocities):
        assert gap(ours, by_sample(f"step{index}.velocity")) < 2e-5


def test_masks_and_angles_are_the_goldens() -> None:
    model, tensors = published()
    valid = valid_context([7, 12], 13, torch.device("cpu"))
    assert valid is not None and torch.equal(valid, by_sample("packed_mask"))
    actions = readable(valid, 8 + 16)[:, 0].expand(-1, 16, -1)
    for row in range(2):  # only rows of actions tell what actions read; the rest is never read
        whole = tensors[f"mid.s{row}.mask_action16.joint"][0]
        assert torch.equal(actions[row], whole[-16:])
        assert tensors[f"mid.s{row}.mask_action16.image"][0, -16:].all()
    text = torch.zeros(1, 13, 1)
    cos, sin = model.rope(text, 1.0)
    for part, name in ((slice(0, 13), "txt"), (slice(13, None), "img")):
        theirs = tensors[f"mid.s0.video_pre.rope.{name}"][0, 0]
        assert torch.equal(cos[part], theirs[..., 0, 0])
        assert torch.equal(sin[part], theirs[..., 1, 0])
    config = model.config
    timesteps = FlowSchedule(config.steps, config.shift).timesteps(torch.float32)
    assert torch.equal(timesteps, tensors["sched.timesteps"])
    assert rope_of(action_positions(3, torch.device("cpu")), config.rope_axes, 1e4)[0].shape[0] == 3


def test_losses_and_gradients_equal_the_golden() -> None:
    model, tensors = published()
    facts, _ = golden("ovis-u1", "golden")
    video, draw = tensors["train.in.video"], "train.draw.noise_vae_"
    with torch.no_grad():
        source, target = (
            model.image_encoder.encode(video[:, :, frame], tensors[draw + name])
            for frame, name in ((0, "ref"), (1, "target"))
        )
    batch = Batch(
        text=tensors["train.in.text_hidden_states"],
        lengths=tensors["train.in.text_attention_mask"].sum(1).tolist(),
        source=source,
        target=target,
        proprio=tensors["train.in.proprio"][:, 0],
        action=tensors["train.in.action"],
        action_is_pad=tensors["train.in.action_is_pad"],
    )
    # The released order: latents of the goal, latents of the image, then what Draws draws.
    generator = torch.Generator().manual_seed(facts["config"]["train_seed"])
    for name in ("target", "ref"):
        noise = torch.randn(tensors[draw + name].shape, generator=generator)
        assert torch.equal(noise, tensors[draw + name])
    draws = Draws.sample(batch, generator)
    assert torch.equal(draws.target_noise, tensors["train.draw.noise_video"])
    assert torch.equal(draws.target_u, tensors["train.draw.u_video"])
    assert torch.equal(draws.action_noise, tensors["train.draw.noise_action"])
    assert torch.equal(draws.action_u, tensors["train.draw.u_action"])
    model.requires_grad_(True)
    try:
        ours = loss(model, batch, draws)
        ours.total.backward()
        for value, key in (
            (ours.total, "loss"), (ours.video, "loss.loss_video"), (ours.action, "loss.loss_action")
        ):  # fmt: skip
            assert value.item() == pytest.approx(facts["scalars"][key], rel=1e-6)
        gradients = dict(model.named_parameters())
        checked = 0
        for entry in layout(model.config):
            key = "train.grad." + entry.file.removeprefix("mot.")
            if key in tensors:
                assert relative(gradients[entry.model[0]].grad, tensors[key]) < 1e-4, key
                checked += 1
        assert checked == sum(key.startswith("train.grad.") for key in tensors) == 18
        dead = {n for n, p in model.expert.named_parameters() if p.grad is None}
        assert dead == {n for n, _ in model.expert.named_parameters() if ".txt_" in n}
        told = facts["checks"]["parameters_without_gradient"]
        assert {
            "mixtures.action." + "".join("N" if c.isdigit() else c for c in n) for n in dead
        } == set(told)
        assert all(p.grad is not None for p in model.editor.parameters())
    finally:
        model.zero_grad(set_to_none=True)
        model.requires_grad_(False)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_condition_encoder_equals_the_golden(preset: str) -> None:
    facts, tensors = golden("ovis-u1", "condition")
    file = FOLDER / "ovis-u1" / "condition.safetensors"
    family = "imagewam-ovis-u1-condition"
    out = condition_replay.replay(file, tensors, facts["config"], family, preset)
    assert len(out) == 5
    for name, ours in out.items():
        assert gap(ours.float(), tensors[name].float()) < 1e-5, name
    eye = condition_replay.config_from_json(facts["config"], 3).eye
    patches, rows, columns = patches_of(unsigned(tensors["in.image"], by_minimum=True), eye)
    assert (rows, columns) == (20, 14)
    for row in range(2):
        assert torch.equal(patches[row], tensors[f"mid.s{row}.patches"])


def test_patches_come_in_squares_of_four() -> None:
    places = torch.arange(16).view(4, 4, 1)
    assert grouped(places)[:, 0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]


# ---- against itself -----------------------------------------------------------------------------


@functools.cache
def tiny() -> OvisU1WAM:
    return randomised(OvisU1WAM(OVIS_U1), seed=1)


def tiny_state(lengths: list[int], seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    size = len(lengths)

    def normal(*shape: int) -> Tensor:
        return torch.randn(size, *shape, generator=generator)

    return State(
        proprio=normal(8),
        noise=normal(6, 7),
        lengths=lengths,
        token_ids=torch.randint(0, 64, (size, OVIS_U1.text_length), generator=generator),
        image=torch.rand(size, 3, 32, 64, generator=generator) * 2 - 1,
        latent_noise=normal(*OVIS_U1.latent_shape),
        target_noise=normal(OVIS_U1.image_tokens, 16),
    )


def test_best_exact_gives_the_released_actions() -> None:
    for seed, lengths in enumerate(([5], [40], [7, 20, 12])):
        released = run(tiny(), tiny_state(lengths, seed), "released")
        exact = run(tiny(), tiny_state(lengths, seed), "best-exact")
        assert gap(exact.action, released.action) < 1e-5
        assert released.action.abs().max() > 0.5
        size = OVIS_U1.context_tokens(max(lengths)) + 1
        assert exact.context.shape[1] == released.context.shape[1] == size


def test_a_batch_is_its_samples() -> None:
    lengths = [5, 40, 11]
    for preset in PRESETS:
        whole = run(tiny(), tiny_state(lengths), preset)
        for row, length in enumerate(lengths):
            one = tiny_state(lengths)
            for name in ("proprio", "noise", "token_ids", "image", "latent_noise"):
                setattr(one, name, getattr(one, name)[row : row + 1])
            one.lengths = [length]
            assert gap(run(tiny(), one, preset).action, whole.action[row : row + 1]) < 1e-5


def test_every_input_moves_the_action_and_padding_does_not() -> None:
    base = run(tiny(), tiny_state([7])).action
    for name in ("proprio", "noise", "token_ids", "image", "latent_noise"):
        state, other = tiny_state([7]), tiny_state([7], seed=9)
        setattr(state, name, getattr(other, name))
        assert gap(run(tiny(), state).action, base) > 1e-3, name
    padded = tiny_state([7])
    padded.token_ids[:, 7:] = 3
    assert gap(run(tiny(), padded).action, base) < 1e-6


def test_the_picture_is_read_by_the_language_model_too() -> None:
    """Other pixels under the same image tokens move the text, and so the action."""
    state, other = tiny_state([7]), tiny_state([7], seed=9)
    base = run(tiny(), state)
    other.token_ids, other.proprio, other.noise = state.token_ids, state.proprio, state.noise
    moved = program(tiny(), RELEASED)
    with torch.no_grad():
        for step in moved.steps:
            step.run(other)
            if step.stage == "vision":
                other.tokens = base.tokens
    assert gap(other.text, base.text) > 1e-3 and gap(other.action, base.action) > 1e-3


def with_traits(**traits: Any) -> OvisU1WAM:
    """The tiny model under other traits, with the same weights."""
    model = on_meta(lambda: OvisU1WAM(OvisU1Config(**{**OVIS_U1.model_dump(), **traits})))
    model.load_state_dict(tiny().state_dict(), assign=True)
    return model


def test_a_bright_picture_is_brighter_by_the_released_rule() -> None:
    state = tiny_state([7])
    by_range = with_traits(by_minimum=False)
    assert torch.equal(run(tiny(), state).action, run(by_range, tiny_state([7])).action)
    bright = [tiny_state([7]) for _ in range(2)]
    for one in bright:
        one.image = one.image.abs()
    released, mended = (run(m, s) for m, s in zip((tiny(), by_range), bright, strict=True))
    assert gap(released.action, mended.action) > 1e-3
    both = torch.cat([state.image, bright[0].image])
    assert gap(unsigned(both, by_minimum=True)[:1], (state.image + 1) / 2) == 0
    assert gap(unsigned(both, by_minimum=True)[1:], bright[0].image) == 0


def test_latents_may_be_their_mean() -> None:
    mean = with_traits(latents="mean")
    one, other = tiny_state([7]), tiny_state([7])
    one.latent_noise, other.latent_noise = None, torch.zeros_like(other.latent_noise)
    assert torch.equal(run(mean, one).action, run(tiny(), other).action)
    with pytest.raises(ValueError, match="latent_noise must be given, or latents be mean"):
        state = tiny_state([7])
        state.latent_noise = None
        run(tiny(), state)


def test_imagining_costs_steps_and_leaves_the_action_alone() -> None:
    plain = run(tiny(), tiny_state([7]))
    imagining = run(tiny(), tiny_state([7]), imagine=3)
    masked = run(with_traits(masked_goal=True), tiny_state([7]), imagine=3)
    for one in (imagining, masked):
        assert torch.equal(plain.action, one.action)
        assert one.target_image.shape == (1, 3, 32, 64)
    assert plain.target_image is None
    assert gap(imagining.target_image, masked.target_image) > 1e-3  # text reads the goal, or not
    calls = program(tiny(), RELEASED, 3).calls()
    assert calls == {"text": 1, "vision": 1, "prefill": 1, "imagine": 3, "act": 3, "decode": 1}
    assert program(tiny(), BEST_EXACT).calls(warm_text=True)["text"] == 1  # it is of the picture


def test_a_prefix_at_zero_is_the_prefix_of_inference() -> None:
    """The mended loss differs from the released one, and no longer from inference."""
    model, state = tiny(), run(tiny(), tiny_state([7, 20]))
    batch = Batch(
        text=state.text, lengths=model.text_lengths(state), source=state.tokens,
        target=torch.randn(state.tokens.shape), proprio=state.proprio,
        action=torch.zeros_like(state.noise), action_is_pad=torch.zeros(2, 6, dtype=torch.bool),
    )  # fmt: skip
    noise = torch.randn(state.tokens.shape)
    draws = Draws(noise, torch.full((2,), 0.7), state.noise, torch.ones(2) * 0.4)
    with torch.no_grad():
        released = loss(model, batch, draws).action
        mended = loss(model, batch, draws, prefix_at_zero=True).action
        assert abs(released - mended) > 1e-4
        sigma = 5 * 0.4 / (1 + 4 * 0.4)
        masks = Masks(readable(state.cached, 6), None)
        velocity = model.expert(sigma * state.noise, torch.full((2,), sigma), state.cache, masks)
        at_zero = [loss(model, batch, replace_u(draws, 0.0), prefix_at_zero=p) for p in (0, 1)]
    error = ((velocity - state.noise) ** 2).mean(dim=(1, 2))
    by_hand = (LossWeight(5.0)(torch.full((2,), 1000 * sigma)) * error).mean()
    assert mended.item() == pytest.approx(by_hand.item(), rel=1e-4)
    assert at_zero[0].action.item() == pytest.approx(at_zero[1].action.item(), rel=1e-4)
    assert at_zero[0].video.item() == pytest.approx(at_zero[1].video.item(), rel=1e-4)


def replace_u(draws: Draws, u: float) -> Draws:
    return Draws(draws.target_noise, torch.full((2,), u), draws.action_noise, draws.action_u)


def test_the_expert_starts_from_the_editor() -> None:
    model = randomised(OvisU1WAM(OVIS_U1), seed=4)
    fresh = {name: p.clone() for name, p in model.expert.named_parameters()}
    taken = initialise_expert(model)
    editor, expert = (dict(part.named_parameters()) for part in (model.editor, model.expert))
    kept = [name for name in fresh if name.startswith(("action_encoder.", "head."))]
    assert taken == len(fresh) - len(kept)
    for name, before in fresh.items():
        assert torch.equal(expert[name], before if name in kept else editor[name]), name


# ---- published sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", PUBLISHED)
def test_published_sizes(place: str) -> None:
    config = PUBLISHED[place]
    model = on_meta(lambda: OvisU1WAM(config))
    counted = {name: parameter_count(part) for name, part in model.named_children()}
    assert counted == PARAMETERS[place]
    assert counted["editor"] == 1_127_227_408
    assert len(list(model.editor.parameters())) == 325
    expert = dict(model.expert.named_parameters())
    assert len(expert) == 286
    assert sum(p.numel() for n, p in expert.items() if ".txt_" in n) == 254_943_744
    if place == "libero":
        assert counted["expert"] == 1_041_423_367
    entries = [entry for entry in layout(config) if entry.file.startswith("mot.")]
    assert len(entries) == 887 and sum(entry.alias_of is not None for entry in entries) == 276
    state = model.state_dict()
    shapes = {e.file: state[e.model[0]].shape for e in layout(config) if e.model}
    read = replaying.config_from_shapes(shapes)
    for name in ("double_blocks", "single_blocks", "heads", "refiner_heads", "rope_axes", "hidden"):
        assert getattr(read, name) == getattr(config, name), name
    eye, language = config.condition.eye, config.condition.language
    assert config.token_grid == {"libero": (14, 28), "robotwin": (18, 16)}[place]
    assert config.seen_grid == {"libero": (12, 23), "robotwin": (17, 16)}[place]
    sizes = {"libero": (336, 644), "robotwin": (476, 448)}
    assert eye.resized(*config.image_size) == sizes[place]
    assert len(condition_layout(model.text_encoder, {"": ""})) == 28 * 11 + 2 + 24 * 7 + 5 + 4
    assert language.features == config.text_features == 4096


@pytest.mark.parametrize("place", PUBLISHED)
def test_costs_are_the_counted_ones(place: str) -> None:
    """Closed forms that gave the integers of the authors' modules, written out once more.

    A language model of 317 tokens, and proprioception.
    """
    config = PUBLISHED[place]
    text = 317 - config.context_tokens(0)
    told, vision, prefill, *acts = cost.flops(config, RELEASED, text)
    d, f, t, r, a = 1536, 6144, 318, config.image_tokens, 16
    both, dims = t + r, config.action_dim
    double = 2 * r * (8 * d * d + 2 * d * f) + 2 * t * (4 * d * d + 2 * d * f)
    double += 4 * both * both * d + 4 * r * r * d + 30 * d * d
    single = 2 * both * (4 * d * d + 2 * d * f) + 4 * both * both * d + 6 * d * d
    refiner = 2 * (4096 * d + d * d) + 8192 * t * d
    block = (t + 1) * 2 * (4 * d * d + 2 * d * f) + 4 * (t + 1) ** 2 * d + 4 * d * d
    refiner += 2 * block + 2 * (256 * d + d * d) + 4 * d * d + 32 * r * d
    proprio = 2 * config.proprio_dim * 4096
    assert prefill == 6 * double + 12 * single + refiner + proprio
    act = 6 * (
        2 * a * (8 * d * d + 2 * d * f) + 4 * a * (both + a) * d + 4 * a * (r + a) * d + 18 * d * d
    )
    act += 12 * (2 * a * (4 * d * d + 2 * d * f) + 4 * a * (both + a) * d + 6 * d * d)
    act += 2 * (256 * d + d * d) + 4 * dims * a * d + 4 * d * d
    assert acts == [act] * 10
    tera = {"libero": (0.419, 2.14, 0.041, 0.830, 0.0201, 1.49),
            "robotwin": (0.307, 2.12, 0.041, 0.695, 0.0198, 1.24)}[place]  # fmt: skip
    shown = (vision, told, refiner, 6 * double + 12 * single, act, vision + prefill + 10 * act)
    for counted, published in zip(shown, tera, strict=True):
        assert counted / 1e12 == pytest.approx(published, abs=0.006 if published > 1 else 0.0006)
    eye, language = config.condition.eye, config.condition.language
    words = math.prod(config.seen_grid)
    parts = [cost.eyes(eye, 4 * words), 2 * words * 4096 * 65532, 2 * words * 65536 * 2048]
    parts.append(cost.reading(language, 317, language_head=False))
    parts.append(2 * 317 * 2048 * 151_936)
    assert sum(parts) == told
    if place == "libero":
        for counted, published in zip(parts, (0.80, 0.15, 0.07, 0.92, 0.20), strict=True):
            assert counted / 1e12 == pytest.approx(published, abs=0.006)
    exact = cost.flops(config, BEST_EXACT, text)
    assert told - exact[0] == parts[-1]
    # Of the last block the keys and values, and two of the three parts of its modulation.
    assert prefill - exact[2] == single - 4 * both * d * d - 4 * d * d
    assert exact[1:2] + exact[3:] == [vision, *acts]


# ---- files, prompt, command line ----------------------------------------------------------------


def test_replay_names_its_results_as_the_golden_does(wambench: CommandLine, tmp_path: Path) -> None:
    _, tensors = golden("ovis-u1", "golden")
    folder, out = FOLDER / "ovis-u1", tmp_path / "out.safetensors"
    ended = wambench("checkpoint", "replay", CHECKPOINT, folder / "golden.safetensors",
                     "--config", folder / "golden.json", "--out", out)  # fmt: skip
    assert ended.code == 0 and ended.out.startswith("imagewam-ovis-u1, released: out.action [2, 16")
    results = load_file(out)
    assert gap(results["out.action"], tensors["out.action"]) < 1e-5
    caches = [key for key in tensors if ".cache." in key]
    assert len(caches) == 28 and set(caches) <= set(results)
    ended = wambench("checkpoint", "inspect", CHECKPOINT)  # its family told by its names
    assert ended.code == 0 and "fits the model" in ended.out


@pytest.mark.parametrize("seed", [2, 3])
def test_hold_outs_of_other_sizes(tmp_path: Path, seed: int) -> None:
    """Against the model written out once more in float64: no cache, no padding, one softmax."""
    naive_yak.main(seed, tmp_path)
    facts = naive_yak.json.loads((tmp_path / "c.json").read_text())
    given = load_file(tmp_path / "in.safetensors")
    theirs = load_file(tmp_path / "out.safetensors")["out.action"]
    for preset in PRESETS:
        out = replaying.replay(
            tmp_path / "model.pt", given, facts["config"], "imagewam-ovis-u1", preset
        )
        assert gap(out["out.action"], theirs) < 4e-6 * float(theirs.abs().max())


def test_the_model_written_out_once_more_equals_the_golden() -> None:
    facts, tensors = golden("ovis-u1", "golden")
    content = torch.load(CHECKPOINT, weights_only=True)
    proprio = {f"proprio_encoder.{n}": t for n, t in content["proprio_encoder"].items()}
    ours = naive_yak.action(
        content["mot"] | proprio, facts["config"], tensors["in.context"][0, :7],
        tensors["in.proprio"][0], tensors["mid.s0.ref_tokens"][0], tensors["in.noise_action"][0],
    )  # fmt: skip
    assert gap(ours.float(), tensors["out.action"][0]) < 1e-5


def test_texts_around_the_picture_are_tokens_of_their_own(tmp_path: Path) -> None:
    _tokenizer(tmp_path / "words", chat=False)
    around = around_picture(tmp_path / "words", OVIS_U1)
    ids, words = around("pick up"), around.spelled("pick up")
    assert len(ids) == len(words) and words[:4] == [""] * 4
    assert [word for word in words if word in ("pick", "up")] == ["pick", "up"]
    assert len(around("pick up " * 40)) == OVIS_U1.text_length
    apart = AroundPicture(StandIn(9, 3, 3), StandIn(9, 0, 5))
    assert len(apart("a b")) == 3 + 2 and apart.spelled("a b")[-2:] == ["a", "b"]
    with pytest.raises(UserError, match=r"makes 4 tokens of .*, not 3; name the folder"):
        around_picture(tmp_path / "words", PUBLISHED["libero"])


def test_options_are_refused_in_one_line() -> None:
    for options, told in (
        ({"picture": [100, 64]}, "not a multiple of 16"),
        ({"latents": "both"}, "latents"),
        ({"by_minimun": True}, "did you mean by_minimum"),
    ):
        with pytest.raises(UserError, match=told) as caught:
            plugins.make_policy("imagewam-ovis-u1", options)
        assert "imagewam-ovis-u1" in str(caught.value) and "\n" not in str(caught.value)
    changed = plugins.make_policy("imagewam-ovis-u1", {"masked_goal": True, "by_minimum": False})
    architecture = changed.config()["architecture"]
    assert architecture["masked_goal"] and not architecture["by_minimum"]
