"""ImageWAM on OmniGen2 against golden tensors of the authors' code, and against itself."""

import functools
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.transformers.transformer_lumina2 import (
    Lumina2AttnProcessor2_0,
    Lumina2TransformerBlock,
)
from torch import Tensor
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

from baselines.core.build import on_meta, parameter_count
from baselines.core.checkpoints.loading import load_into
from baselines.core.checkpoints.reading import read_checkpoint
from baselines.core.checkpoints.writing import write_released
from baselines.core.initialise import resized
from baselines.families import holding, recognised
from baselines.imagewam.loss import Batch, Draws
from baselines.imagewam.model import State
from baselines.imagewam.omnigen2 import replay as replaying
from baselines.imagewam.omnigen2.blocks import Turn, embed, make_block
from baselines.imagewam.omnigen2.config import (
    PARAMETERS,
    PRESETS,
    PUBLISHED,
    RELEASED,
    OmniGen2Config,
)
from baselines.imagewam.omnigen2.inference import program
from baselines.imagewam.omnigen2.initialise import initialise_expert
from baselines.imagewam.omnigen2.layout import layout
from baselines.imagewam.omnigen2.loss import draw, loss, part_of
from baselines.imagewam.omnigen2.model import OmniGen2WAM
from baselines.imagewam.omnigen2.packing import table
from baselines.imagewam.omnigen2.policy import (
    OmniGen2Options,
    OmniGen2Policy,
    imagewam_omnigen2,
)
from baselines.imagewam.omnigen2.text import TextFeatures
from baselines.imagewam.omnigen2.timesteps import frequencies
from baselines.imagewam.omnigen2.vae import latents_of, tokens_of
from baselines.imagewam.replay import fill_vae
from tests.golden_data import FOLDER, gap, golden, randomised, relative
from tests.releases import OMNIGEN2, observation, release

SETS = {"plain": "imagewam-omnigen2", "noise_idm": "imagewam-omnigen2-noise-idm",
        "cache_idm": "imagewam-omnigen2-cache-idm"}  # fmt: skip
READS = ("prefix", "noise", "half_denoised")


def tensors_of(name: str) -> dict[str, Tensor]:
    """A golden's tensors; cache_idm's weights and training are noise_idm's."""
    own = golden("omnigen2", name)[1]
    return {**golden("omnigen2", "noise_idm")[1], **own} if name == "cache_idm" else own


def checkpoint_of(name: str) -> Path:
    return FOLDER / "omnigen2" / ("plain.model.pt" if name == "plain" else "idm.model.pt")


@functools.cache
def replayed(name: str, preset: str) -> dict[str, Tensor]:
    config = golden("omnigen2", name)[0]["config"]
    given = {k: v for k, v in tensors_of(name).items() if k.startswith(("in.", "weights."))}
    return replaying.replay(checkpoint_of(name), given, config, SETS[name], preset)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", SETS)
def test_replay_equals_the_golden(name: str, preset: str) -> None:
    theirs, ours = golden("omnigen2", name)[1], replayed(name, preset)
    for key in ("out.action", "out.action_batched", "out.action_unpacked"):
        assert gap(ours[key], theirs[key]) < 1e-5, key
    # Measured: 1.2e-5 with the narrowest kernels of a CPU, 9.4e-6 with its own.
    inner = [key for key in theirs if ".cache." in key or ".step" in key]
    assert len(inner) == 2 * (2 * 3 + 10)
    for key in inner:
        assert gap(ours[key], theirs[key]) < 2e-5, key
    if name == "plain":
        assert gap(ours["out.video_image"], theirs["out.video_image"]) < 2e-5
    assert gap(theirs["out.action"], theirs["out.action_unpacked"]) > 0.1  # 7 of 12 words


def test_a_half_denoised_goal_equals_the_golden() -> None:
    facts, tensors = golden("omnigen2", "cache_idm")[0], tensors_of("cache_idm")
    model = filled("cache_idm")
    whole = replaying.state_of(model, tensors, facts["config"], torch.float32)
    for row in range(2):
        state = replaying.one_of(whole, row)
        with torch.no_grad():
            program(model, RELEASED).run(state)
        latents = latents_of(state.target, model.config.token_grid)
        assert gap(latents, tensors[f"mid.s{row}.half.latent"]) < 1e-5
        sources = latents_of(state.tokens, model.config.token_grid)
        assert gap(sources, tensors[f"mid.s{row}.ref_latent"]) < 1e-5


@functools.cache
def filled(name: str) -> OmniGen2WAM:
    """The golden's model, filled from its checkpoint by our loader."""
    config = replaying.config_from_json(
        golden("omnigen2", name)[0]["config"], replaying.READS[SETS[name]]
    )
    model = on_meta(lambda: OmniGen2WAM(config))
    load_into(model.trained(), checkpoint_of(name), layout(config), torch.float32)
    fill_vae(model.image_encoder, tensors_of(name), replaying.vae_entries(model)[1], torch.float32)
    return model


def lesson(name: str) -> tuple[Batch, Draws]:
    model, tensors = filled(name), tensors_of(name)
    video = tensors["train.in.video"]
    with torch.no_grad():
        source, target = (
            model.image_encoder.encode(video[:, :, frame], tensors[f"train.draw.noise_vae_{part}"])
            for frame, part in enumerate(("ref", "target"))
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
    condition = tensors.get("train.draw.noise_condition")
    draws = Draws(
        tokens_of(tensors["train.draw.noise_video"]),
        tensors["train.draw.u_video"],
        tensors["train.draw.noise_action"],
        tensors["train.draw.u_action"],
        None if condition is None else tokens_of(condition),
    )
    return batch, draws


@pytest.mark.parametrize("name", SETS)
def test_losses_and_gradients_equal_the_golden(name: str) -> None:
    model, tensors, scalars = filled(name), tensors_of(name), golden("omnigen2", name)[0]["scalars"]
    batch, draws = lesson(name)
    model.requires_grad_(True)
    try:
        ours = loss(model, batch, draws)
        ours.total.backward()
        for value, key in (
            (ours.total, "loss"), (ours.video, "loss.loss_video"), (ours.action, "loss.loss_action")
        ):  # fmt: skip
            assert value.item() == pytest.approx(scalars[key], rel=1e-6)
        gradients, checked = dict(model.named_parameters()), 0
        for entry in layout(model.config):
            key = "train.grad." + entry.file.removeprefix("mot.")
            if key in tensors:
                assert relative(gradients[entry.model[0]].grad, tensors[key]) < 1e-4, key
                checked += 1
        assert checked == sum(key.startswith("train.grad.") for key in tensors) == 17
    finally:
        model.zero_grad(set_to_none=True)
        model.requires_grad_(False)


def test_two_passes_add_up() -> None:
    batch, draws = lesson("noise_idm")
    both, image, action = (
        loss(filled("noise_idm"), batch, draws, part=part) for part in ("both", "image", "action")
    )
    assert torch.equal(image.total, both.video) and torch.equal(action.total, both.action)
    assert [part_of(step, "alternate_micro") for step in range(3)] == ["image", "action", "image"]
    assert part_of(1, "joint") == "both"
    with pytest.raises(ValueError, match="both"):
        loss(filled("plain"), *lesson("plain"), part="action")


@pytest.mark.parametrize("name", ["plain", "noise_idm"])
def test_draws_are_the_released_ones(name: str) -> None:
    facts, tensors = golden("omnigen2", name)[0], tensors_of(name)
    generator = torch.Generator().manual_seed(facts["config"]["train_seed"])
    of_target, of_source, drawn = draw(filled(name), torch.zeros(3, 16, 7), generator)
    expected = {
        "noise_vae_target": of_target, "noise_vae_ref": of_source,
        "u_video": drawn.target_u, "noise_action": drawn.action_noise, "u_action": drawn.action_u,
    }  # fmt: skip
    for key, ours in expected.items():
        assert torch.equal(ours, tensors[f"train.draw.{key}"]), key
    assert torch.equal(drawn.target_noise, tokens_of(tensors["train.draw.noise_video"]))
    assert (drawn.condition_noise is None) == (name == "plain")


@pytest.mark.parametrize("name", SETS)
def test_sinusoids_are_those_of_the_recording(name: str) -> None:
    """At this scale one bit of a frequency, or the other order of products, is another model."""
    config, tensors, model = golden("omnigen2", name)[0]["config"], tensors_of(name), filled(name)
    embedder = model.editor.time_caption_embed.timestep_embedder
    time = {"plain": 0.0, "noise_idm": 1000.0, "cache_idm": 500.0}[name]
    with torch.no_grad():
        ours, other = (
            embed(embedder, torch.tensor([time]), config["time_scale"], order)
            for order in ("frequency_first", "scale_first")
        )
    theirs = tensors["mid.s0.video_pre.temb"]
    assert gap(ours, theirs) < 1e-6
    assert (gap(other, theirs) > 1e-3) == (time > 0)
    exact = 10_000.0 ** (-torch.arange(128).double() / 128)
    assert ((frequencies(torch.device("cpu")) / exact - 1).abs() < 1e-6).all()


# --- against itself, on random weights ------------------------------------------------------------


@functools.cache
def tiny(reads: str = "prefix", place: str = "as_released") -> OmniGen2WAM:
    config = OMNIGEN2.model_copy(update={"reads": reads, "proprio_place": place})
    return randomised(OmniGen2WAM(config), seed=1)


def tiny_state(lengths: list[int], seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    size, config = len(lengths), OMNIGEN2
    ids = torch.randint(0, 64, (size, config.text_length), generator=generator)
    return State(
        proprio=torch.randn(size, 8, generator=generator),
        noise=torch.randn(size, 6, 7, generator=generator),
        lengths=lengths,
        token_ids=ids,
        image=torch.rand(size, 3, 32, 64, generator=generator) * 2 - 1,
        latent_noise=torch.randn(size, *config.latent_shape, generator=generator),
        target_noise=torch.randn(size, config.image_tokens, 16, generator=generator),
    )


def run(model: OmniGen2WAM, state: State, preset: str = "released", imagine: int = 0) -> State:
    with torch.no_grad():
        return program(model, PRESETS[preset], imagine).run(state)


@pytest.mark.parametrize("place", ["as_trained", "as_released"])
@pytest.mark.parametrize("reads", READS)
def test_best_exact_gives_the_released_actions_alone_and_in_a_batch(reads: str, place: str) -> None:
    chosen, model = random.Random(0), tiny(reads, place)
    for seed, edge in enumerate([(1, 40), (40,), (39, 5, 12)]):
        lengths = [*edge, chosen.randint(1, 40)]
        released = run(model, tiny_state(lengths, seed))
        exact = run(model, tiny_state(lengths, seed), "best-exact")
        assert exact.context.shape[1] <= released.context.shape[1] == 41
        assert gap(exact.action, released.action) < 1e-5
        assert released.action.abs().max() > 0.5
        for row in range(len(lengths)):
            alone = replaying.one_of(tiny_state(lengths, seed), row)
            alone.token_ids = tiny_state(lengths, seed).token_ids[row : row + 1]
            got = run(model, alone, "best-exact").action
            assert gap(got, released.action[row : row + 1]) < 1e-5


def test_where_proprioception_stands_matters_only_with_padding() -> None:
    for length, is_padded in ((40, False), (7, True)):
        trained, released = (
            run(tiny("prefix", place), tiny_state([length])).action
            for place in ("as_trained", "as_released")
        )
        assert (gap(trained, released) > 1e-3) == is_padded


@pytest.mark.parametrize("reads", READS)
def test_every_input_moves_the_action(reads: str) -> None:
    model = tiny(reads, "as_trained")
    base = run(model, tiny_state([7])).action
    for name in ("proprio", "noise", "token_ids", "image", "latent_noise", "target_noise"):
        state, other = tiny_state([7]), tiny_state([7], seed=9)
        setattr(state, name, getattr(other, name))
        moved = gap(run(model, state).action, base)
        is_read = name != "target_noise" or reads != "prefix"
        assert (moved > 1e-3) if is_read else moved == 0, name


def test_stages() -> None:
    calls = {reads: program(tiny(reads), RELEASED).calls() for reads in READS}
    assert calls["prefix"] == calls["noise"] == {"text": 1, "vision": 1, "prefill": 1, "act": 3}
    assert calls["half_denoised"] == {"text": 1, "vision": 1, "imagine": 1, "prefill": 1, "act": 3}
    assert program(tiny(), RELEASED, 2).calls()["decode"] == 1
    plain, imagining = (run(tiny(), tiny_state([7]), imagine=steps) for steps in (0, 2))
    assert torch.equal(plain.action, imagining.action)
    assert imagining.target_image.shape == (1, 3, 32, 64)


def test_latents_can_be_their_mean() -> None:
    config = OMNIGEN2.model_copy(update={"latents": "mean"})
    model = OmniGen2WAM(config).eval()
    model.load_state_dict(tiny().state_dict())
    state, other = tiny_state([7]), tiny_state([7])
    other.latent_noise = None
    assert torch.equal(run(model, state).action, run(model, other).action)
    assert gap(run(tiny(), tiny_state([7])).action, state.action) > 1e-3
    lacking = tiny_state([7])
    lacking.latent_noise = None
    with pytest.raises(ValueError, match="latent_noise"):
        run(tiny(), lacking)


def test_the_block_is_diffusers_own() -> None:
    config = OMNIGEN2
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 9, 24, generator=generator)
    time = torch.randn(2, 24, generator=generator)
    cosines, sines = table(torch.arange(9)[:, None].expand(-1, 3), (2, 2, 2), 10_000.0)
    valid = torch.arange(9)[None] < torch.tensor([[9], [5]])
    for modulated in (True, False):
        ours = randomised(make_block(config, 24, modulated=modulated), seed=2)
        theirs = Lumina2TransformerBlock(24, 4, 2, 16, None, 1e-5, modulated).eval()
        theirs.load_state_dict(ours.state_dict())
        assert isinstance(theirs.attn.processor, Lumina2AttnProcessor2_0)
        rope = torch.complex(cosines, sines)[None].to(torch.complex64)
        with torch.no_grad():
            got = ours(x, valid[:, None, None], Turn((cosines, sines)), time)
            assert gap(got, theirs(x, valid, rope, time)) < 1e-5


def test_the_text_features_are_transformers_own_up_to_the_first_pad() -> None:
    ours = randomised(TextFeatures(OMNIGEN2.text), seed=3)
    theirs = Qwen2_5_VLTextModel(
        Qwen2_5_VLTextConfig(
            hidden_size=12, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, vocab_size=64, rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 1]},
        )
    ).eval()  # fmt: skip
    theirs.load_state_dict(ours.model.state_dict())
    ids = torch.randint(4, 64, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(9)[None] < torch.tensor([[4], [9]])
    padded = ids.masked_fill(~mask, 3)
    with torch.no_grad():
        expected = theirs(padded, attention_mask=mask.long()).last_hidden_state
        got = ours(ids, mask)
    read = torch.arange(9)[None] < torch.tensor([[5], [9]])
    assert gap(got[read], expected[read]) < 1e-5


def test_latents_and_tokens_are_each_other() -> None:
    latents = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    tokens = tokens_of(latents)
    assert torch.equal(latents_of(tokens, (2, 3)), latents)
    # The second token of the first row: its square, row by row, the latent channels fastest.
    assert torch.equal(tokens[0, 1], latents[0, :, 0:2, 2:4].permute(1, 2, 0).flatten())


def test_the_expert_starts_from_the_editor() -> None:
    model = randomised(OmniGen2WAM(OMNIGEN2), seed=4)
    fresh = {name: p.clone() for name, p in model.expert.named_parameters()}
    taken = initialise_expert(model)
    state = {name: p.detach() for name, p in model.named_parameters()}
    kept = [name for name in fresh if name.startswith(("action_encoder.", "head."))]
    assert taken == len(fresh) - len(kept) and all(
        torch.equal(fresh[name], state["expert." + name]) for name in kept
    )
    scale = state["editor.layers.1.attn.norm_k.weight"]
    assert torch.equal(state["expert.blocks.1.attn.norm_k.weight"], scale)
    source = state["editor.layers.0.attn.to_q.weight"]
    rows, at = source.double().numpy(), np.linspace(0, 23, 20)  # columns from 24 to 20
    by_hand = np.stack([np.interp(at, np.arange(24), row) for row in rows])  # and not rescaled
    ours = state["expert.blocks.0.attn.to_q.weight"]
    assert np.abs(ours.numpy() - by_hand).max() < 1e-5
    assert gap(resized(source, ours.shape), ours * (24 / 20) ** 0.5) < 1e-5
    time = "editor.time_caption_embed.timestep_embedder.linear_1.weight"
    assert gap(state["expert.timestep_embedder.linear_1.weight"][0], state[time][0]) < 1e-6


# --- published sizes, checkpoints, policies -------------------------------------------------------


@pytest.mark.parametrize("size", ["libero", "robotwin"])
def test_published_sizes_build_and_run_without_memory(size: str) -> None:
    config = PUBLISHED[size]
    model = on_meta(lambda: OmniGen2WAM(config))
    counted = {name: parameter_count(part) for name, part in model.named_children()}
    assert counted == PARAMETERS[size]
    assert len(model.editor.state_dict()) == 582 and len(model.expert.state_dict()) == 490
    named = layout(config)
    assert len(named) == 1552 + 2 and sum(entry.alias_of is not None for entry in named) == 480
    state = State(
        proprio=torch.empty(1, config.proprio_dim, device="meta"),
        noise=torch.empty(1, config.horizon, config.action_dim, device="meta"),
        lengths=[24],
        token_ids=torch.zeros(1, config.text_length, dtype=torch.long, device="meta"),
        image=torch.empty(1, 3, *config.image_size, device="meta"),
        latent_noise=torch.empty(1, *config.latent_shape, device="meta"),
        target_noise=torch.empty(1, config.image_tokens, 64, device="meta"),
    )
    with torch.no_grad():
        program(model, RELEASED).run(state)
    images = config.image_tokens
    assert config.image_tokens == (288 if size == "robotwin" else 392)
    assert state.cache[0].k.shape == (1, 25 + images, 7, 120) and len(state.cache) == 32
    assert state.action.shape == (1, 16, config.action_dim)


def test_the_variants_have_the_same_modules() -> None:
    for size, reads in (("noise-idm", "noise"), ("cache-idm", "half_denoised")):
        assert PUBLISHED[size] == PUBLISHED["libero"].model_copy(update={"reads": reads})
        assert PARAMETERS[size] == PARAMETERS["libero"]


@pytest.mark.parametrize("name", SETS)
def test_a_checkpoint_is_written_as_it_was_read(name: str, tmp_path: Path) -> None:
    facts, path = golden("omnigen2", name)[0], checkpoint_of(name)
    opened, config = read_checkpoint(path), facts["config"]
    assert recognised(config, None).name == SETS[name]
    assert holding(opened.shapes, path).name == "imagewam-omnigen2"
    model = filled(name)
    for described in (config, None):  # told, and read off the shapes
        names, module = replaying.expected(opened.shapes, described)
        assert {entry.file for entry in names} == set(opened.tensors)
        shapes = {key: tensor.shape for key, tensor in module.state_dict().items()}
        assert shapes == {k: t.shape for k, t in model.trained().state_dict().items()}
    state = model.trained().state_dict()
    write_released(tmp_path / "model.pt", state, layout(model.config), 123, torch.float32)
    again = read_checkpoint(tmp_path / "model.pt")
    assert again.facts["step"] == opened.facts["step"]
    assert set(again.tensors) == set(opened.tensors)
    assert all(torch.equal(again.tensors[key], opened.tensors[key]) for key in opened.tensors)


@pytest.fixture(scope="module", params=READS)
def policy(request: pytest.FixtureRequest) -> OmniGen2Policy:
    return tiny_policy(OMNIGEN2.model_copy(update={"reads": request.param}))


def tiny_policy(architecture: OmniGen2Config, **options: Any) -> OmniGen2Policy:
    chosen = OmniGen2Options(weights="random", dtype="float32", device="cpu", **options)
    card = imagewam_omnigen2().card
    card = replace(card, architecture=architecture, robot=replace(card.robot, image_size=(32, 32)))
    made = OmniGen2Policy(card, chosen)
    made.load()
    return made


def test_a_policy_decides_twice(policy: OmniGen2Policy) -> None:
    looks = [observation(0, "pick up the bowl", 32), observation(1, "pick up the bowl", 32)]
    first, second = (policy.act([look])[0] for look in looks)
    assert first.shape == second.shape == (6, 7) and np.isfinite(first).all()
    np.testing.assert_array_equal(policy.act([looks[0]])[0], first)


def test_attention_is_labelled(policy: OmniGen2Policy) -> None:
    reads, heard = policy.card.architecture.reads, []
    inference = policy.inference("loaded")
    assert inference.attention is not None
    with inference.attention.watch(heard.append):
        policy.act([observation(0, "pick up the bowl", 32)])
    assert len(heard) == 3 * 2 and inference.attention.frames == int(reads != "prefix")
    kinds = [token.kind for token in heard[0].tokens]
    counts = {kind: kinds.count(kind) for kind in ("text", "proprio", "other", "imagined")}
    goal = 0 if reads == "prefix" else OMNIGEN2.image_tokens
    # Behind the words stands the first pad, where the released evaluation cuts proprioception off.
    assert counts == {"text": 20, "proprio": 0, "other": 1, "imagined": goal}
    assert kinds.count("image") == OMNIGEN2.image_tokens and kinds.count("action") == 6


def test_latents_follow_the_cell_and_the_action_the_option(tmp_path: Path) -> None:
    """Upstream a replan's latents depend on all that was drawn before; the action's noise is 42."""
    made = release("omnigen2", tmp_path)
    look = observation(0, "pick up the bowl", 32)
    other = replace(look, noise_seed=5)
    for options, same in (({}, False), ({"latents": "mean"}, True)):
        policy = made.policy(**options)
        policy.load()
        assert np.array_equal(policy.act([look])[0], policy.act([other])[0]) == same
    free = made.policy(latents="mean", noise_seed=None)
    free.load()
    assert not np.array_equal(free.act([look])[0], free.act([other])[0])


def test_where_proprioception_stands_is_an_option(tmp_path: Path) -> None:
    made = release("omnigen2", tmp_path)
    look = observation(0, "pick up the bowl", 32)
    acts = {}
    for place in (None, "as_released", "as_trained"):
        for preset in PRESETS:
            policy = made.policy(proprio_place=place, preset=preset)
            policy.load()
            acts[place, preset] = [policy.act([look])[0] for _ in range(2)][1]  # text kept
    for place in (None, "as_released", "as_trained"):
        gap_ = np.abs(acts[place, "released"] - acts[place, "best-exact"]).max()
        assert gap_ < 1e-5, place
    np.testing.assert_array_equal(acts[None, "released"], acts["as_released", "released"])
    assert np.abs(acts[None, "released"] - acts["as_trained", "released"]).max() > 1e-3
