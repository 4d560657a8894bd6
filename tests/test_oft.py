"""OpenVLA-OFT against transformers, against a plain reading of the release, and at full size."""

import time
from math import prod
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    LlamaConfig,
    LlamaForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from baselines.core.build import on_meta, parameter_count
from baselines.core.checkpoints.loading import load_into
from baselines.core.checkpoints.mapping import to_file
from baselines.vla.oft.config import (
    BEST_EXACT,
    OFT_LIBERO,
    PRESETS,
    RELEASED,
    STOP_TOKEN,
    LanguageConfig,
    OFTConfig,
    Options,
    TowerConfig,
)
from baselines.vla.oft.language import hidden_states
from baselines.vla.oft.layout import layout, unread
from baselines.vla.oft.loss import l1_loss, loss
from baselines.vla.oft.model import OFT
from baselines.vla.oft.program import State, program

TINY = OFTConfig(
    dino=TowerConfig(
        hidden=24, mlp=48, layers=3, heads=3, prefix=(1, 4), mean=(0.4, 0.5, 0.6), std=(0.2,) * 3
    ),
    siglip=TowerConfig(hidden=32, mlp=40, layers=4, heads=4, mean=(0.5,) * 3, std=(0.5,) * 3),
    language=LanguageConfig(hidden=32, mlp=44, layers=3, heads=4, kv_heads=2, vocabulary=50),
    image_size=28,
    cameras=2,
    proprio_dim=5,
    action_dim=3,
    horizon=4,
    replan=4,
)


def tiny(seed: int = 0) -> OFT:
    """Weights large enough that every part of the model matters."""
    model = OFT(TINY).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(std=0.3, generator=generator)
            if weight.dim() == 1 and name.endswith("weight"):
                weight.add_(1)
    return model


def inputs(lengths: tuple[int, ...], seed: int = 0, width: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    samples, width = len(lengths), max(width, *lengths)
    return State(
        images=torch.rand(samples, TINY.cameras, 3, 28, 28, generator=generator),
        token_ids=torch.randint(3, 50, (samples, width), generator=generator),
        lengths=lengths,
        proprio=torch.randn(samples, TINY.proprio_dim, generator=generator),
    )


def one(state: State, i: int) -> State:
    part = slice(i, i + 1)
    ids = state.token_ids[part, : state.lengths[i]]
    return State(state.images[part], ids, state.lengths[part], state.proprio[part])


@torch.no_grad()
def act(model: OFT, state: State, options: Options = BEST_EXACT) -> Tensor:
    action = program(model, options).run(state).action
    assert action is not None
    return action


@torch.no_grad()
def llama(model: OFT, x: Tensor, mask: Tensor | None) -> Tensor:
    """transformers' own forward; ``mask`` [B, 1, T, T], None: causal."""
    return model.language_model.model(inputs_embeds=x, attention_mask=mask).last_hidden_state


def full_mask(readable: Tensor) -> Tensor:
    return readable[:, None, None, :].expand(-1, 1, readable.shape[1], -1)


# ---- parts against transformers ----------------------------------------------------------------


def test_the_language_pass_is_transformers_with_a_full_mask() -> None:
    model = tiny()
    x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(1))
    readable = torch.arange(9) < torch.tensor([[9], [6]])
    with torch.no_grad():
        ours = hidden_states(model.language_model, TINY.language, x, readable[:, None, None])
        some = hidden_states(
            model.language_model,
            TINY.language,
            x,
            readable[:, None, None],
            rows=lambda t: torch.stack([t[0, 3:6], t[1, 2:5]]),
        )
        unmasked = hidden_states(model.language_model, TINY.language, x, None)
    theirs = llama(model, x, full_mask(readable))
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours[1, :6], theirs[1, :6], atol=1e-5, rtol=0)
    torch.testing.assert_close(some, torch.stack([ours[0, 3:6], ours[1, 2:5]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        unmasked, llama(model, x, full_mask(torch.ones(2, 9, dtype=torch.bool))), atol=1e-5, rtol=0
    )
    assert (unmasked - llama(model, x, None)).abs().max() > 0.1  # it is not causal


@torch.no_grad()
def test_the_dino_tower_is_transformers_up_to_the_last_block_but_one() -> None:
    tower, config = tiny().dino, TINY.dino
    theirs = Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(
            hidden_size=24,
            num_hidden_layers=3,
            num_attention_heads=3,
            mlp_ratio=2,
            image_size=28,
            patch_size=14,
            num_register_tokens=4,
            hidden_act="gelu",
        )
    ).eval()
    theirs.encoder.layer.load_state_dict(tower.blocks.state_dict())
    embeddings = theirs.embeddings
    embeddings.patch_embeddings.projection.load_state_dict(tower.patches.state_dict())
    class_position = torch.randn(1, 1, 24)
    embeddings.position_embeddings.copy_(torch.cat([class_position, tower.positions], dim=1))
    embeddings.cls_token.copy_(tower.prefix[0] - class_position)
    embeddings.register_tokens.copy_(tower.prefix[1])

    images = torch.rand(2, 3, 28, 28)
    normalised = (images - torch.tensor(config.mean)[:, None, None]) / 0.2
    expected = theirs(normalised, output_hidden_states=True).hidden_states[-2][:, 5:]
    for last_block in (False, True):
        ours = tower(images, last_block=last_block)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_siglip_tower_is_transformers_up_to_the_last_block_but_one() -> None:
    tower = tiny().siglip
    theirs = SiglipVisionModel(
        SiglipVisionConfig(
            hidden_size=32,
            intermediate_size=40,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=28,
            patch_size=14,
            hidden_act="gelu",
        )
    ).eval()
    theirs.encoder.layers.load_state_dict(tower.blocks.state_dict())
    theirs.embeddings.patch_embedding.load_state_dict(tower.patches.state_dict())
    theirs.embeddings.position_embedding.weight.copy_(tower.positions[0])

    images = torch.rand(2, 3, 28, 28)
    expected = theirs(2 * images - 1, output_hidden_states=True).hidden_states[-2]
    for last_block in (False, True):
        ours = tower(images, last_block=last_block)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


# ---- the whole ---------------------------------------------------------------------------------


@torch.no_grad()
def plain(model: OFT, state: State) -> Tensor:
    """One sample as the release computes it, by transformers' forward and plain slices."""
    visual = torch.cat(
        [
            torch.cat([tower(image, last_block=True) for tower in (model.dino, model.siglip)], -1)
            for image in state.images.unbind(1)
        ],
        dim=1,
    )
    visual = torch.cat([model.projector(visual), model.proprio_projector(state.proprio)[None]], 1)
    embed = model.language_model.get_input_embeddings()
    prompt, actions = embed(state.token_ids), TINY.horizon * TINY.action_dim
    tail = torch.cat([torch.zeros(1, actions, 32), embed(torch.tensor([[STOP_TOKEN]]))], dim=1)
    x = torch.cat([prompt[:, :1], visual, prompt[:, 1:], tail], dim=1)
    out = llama(model, x, full_mask(torch.ones(x.shape[:2], dtype=torch.bool)))
    start = visual.shape[1] + prompt.shape[1] - 1
    chosen = out[:, start : start + actions].reshape(1, TINY.horizon, -1)
    head = model.action_head
    y = F.relu(head.fc1(head.layer_norm1(chosen)))
    for block in head.mlp_resnet_blocks:
        y = y + F.relu(block.ffn[1](block.ffn[0](y)))
    return head.fc2(head.layer_norm2(y))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_program_is_a_plain_reading_of_the_release(preset: str) -> None:
    model, state = tiny(), inputs((7,))
    expected = plain(model, state)
    assert expected.std() > 0.1
    torch.testing.assert_close(act(model, state, PRESETS[preset]), expected, atol=1e-5, rtol=0)


def test_released_equals_best_exact_for_any_text_lengths() -> None:
    model, generator = tiny(), torch.Generator().manual_seed(3)
    for seed in range(5):
        lengths = tuple(torch.randint(2, 12, (3,), generator=generator).tolist())
        released = act(model, inputs(lengths, seed), RELEASED)
        best = act(model, inputs(lengths, seed), BEST_EXACT)
        torch.testing.assert_close(best, released, atol=1e-5, rtol=0)


@pytest.mark.parametrize("option", [name for name in Options.model_fields if name != "cache_text"])
def test_each_saving_alone_preserves_the_action(option: str) -> None:
    model, saving = tiny(), RELEASED.model_copy(update={option: False})
    lengths = (4, 9)
    torch.testing.assert_close(
        act(model, inputs(lengths), saving),
        act(model, inputs(lengths), RELEASED),
        atol=1e-5,
        rtol=0,
    )


def test_a_batch_equals_its_samples() -> None:
    model, state = tiny(), inputs((5, 11, 2, 11))
    batch = act(model, state)
    for i in range(4):
        torch.testing.assert_close(batch[i : i + 1], act(model, one(state, i)), atol=1e-5, rtol=0)
    assert (batch[1] - batch[3]).abs().max() > 0.01


def test_padding_is_never_read() -> None:
    model, wide = tiny(), inputs((5, 8), width=20)
    expected = act(model, wide)
    for i, length in enumerate(wide.lengths):
        wide.token_ids[i, length:] = 7
    torch.testing.assert_close(act(model, wide), expected, atol=0, rtol=0)
    assert wide.sequence is not None
    assert wide.sequence.shape[1] == 2 * 4 + 1 + 8 + 12 + 1  # images, proprio, text, actions, stop


def test_the_action_depends_on_every_input() -> None:
    model = tiny()
    base = act(model, inputs((6,)))
    for field in ("images", "token_ids", "proprio"):
        other = inputs((6,))
        setattr(other, field, getattr(inputs((6,), seed=9), field))
        assert (act(model, other) - base).abs().max() > 1e-3, field


def test_text_is_looked_up_once_per_instruction_if_cached() -> None:
    model, state = tiny(), inputs((6,))
    steps = program(model, BEST_EXACT)
    first = act(model, state)
    assert dict(steps.calls()) == {"text": 1, "vision": 1, "prefill": 1, "act": 1}
    assert dict(steps.calls(warm_text=True)) == {"vision": 1, "prefill": 1, "act": 1}
    with torch.no_grad():
        torch.testing.assert_close(steps.run(state, warm_text=True).action, first)
    assert program(model, RELEASED).calls(warm_text=True)["text"] == 1


# ---- full size ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> OFT:
    return on_meta(lambda: OFT(OFT_LIBERO)).to(torch.bfloat16)


def meta_state(lengths: tuple[int, ...]) -> State:
    samples = len(lengths)
    return State(
        images=torch.empty(samples, 2, 3, 224, 224, device="meta"),
        token_ids=torch.empty(samples, 64, dtype=torch.long, device="meta"),
        lengths=lengths,
        proprio=torch.empty(samples, 8, device="meta"),
    )


def test_the_published_size_builds_at_once() -> None:
    start = time.process_time()
    on_meta(lambda: OFT(OFT_LIBERO))
    assert time.process_time() - start < 3


def test_published_parameter_counts(published: OFT) -> None:
    with torch.device("meta"):
        dino = Dinov2WithRegistersModel(
            Dinov2WithRegistersConfig(
                hidden_size=1024,
                num_hidden_layers=24,
                num_attention_heads=16,
                image_size=224,
                patch_size=14,
            )
        )
        siglip = SiglipVisionModel(
            SiglipVisionConfig(
                hidden_size=1152,
                intermediate_size=4304,
                num_hidden_layers=27,
                num_attention_heads=16,
                patch_size=14,
            )
        )
        llama_2 = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=4096,
                intermediate_size=11008,
                num_hidden_layers=32,
                num_attention_heads=32,
                vocab_size=32064,
            )
        )
    counts = {name: parameter_count(part) for name, part in published.named_children()}
    # Less the last norm, the mask token and the class token's position; the last norm and pooling.
    assert counts["dino"] == parameter_count(dino) - parameter_count(dino.layernorm) - 2 * 1024
    assert counts["siglip"] == parameter_count(siglip) - sum(
        map(parameter_count, (siglip.post_layernorm, siglip.head))
    )
    assert counts["language_model"] == parameter_count(llama_2)
    assert counts == {
        "dino": 303_228_928,
        "siglip": 412_440_048,
        "projector": 71_385_600,
        "proprio_projector": 16_818_176,
        "language_model": 6_738_939_904,
        "action_head": 151_117_831,
    }
    # The released safetensors hold 15,082,474,368 bytes of bfloat16.
    never_read = sum(map(prod, unread(OFT_LIBERO).values()))
    vla = sum(counts.values()) - counts["proprio_projector"] - counts["action_head"]
    assert vla + never_read == 15_082_474_368 // 2


@torch.no_grad()
def test_a_ragged_batch_runs_at_published_size(published: OFT) -> None:
    state = program(published, BEST_EXACT).run(meta_state((35, 20, 28)))
    assert state.action is not None and state.action.shape == (3, 8, 7)
    assert state.action.is_meta and state.action.dtype == torch.bfloat16


# ---- the released layout -----------------------------------------------------------------------


def timm_features(files: dict[str, Tensor], prefix: str, images: Tensor, heads: int) -> Tensor:
    """What timm 0.9 computes from tensors under its own names, up to the last block but one."""
    own = {k.removeprefix(prefix): v for k, v in files.items() if k.startswith(prefix)}

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, own[f"{name}.weight"], own[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], eps=1e-6)

    x = F.conv2d(images, own["patch_embed.proj.weight"], own["patch_embed.proj.bias"], stride=14)
    x = x.flatten(2).transpose(1, 2) + own["pos_embed"]
    before = [own[k].expand(len(x), -1, -1) for k in ("cls_token", "reg_token") if k in own]
    x = torch.cat([*before, x], dim=1)
    depth = 1 + max(int(k.split(".")[1]) for k in own if k.startswith("blocks."))
    for i in range(depth - 1):
        block = f"blocks.{i}"
        fused = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        q, k, v = fused.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + linear(y, f"{block}.attn.proj") * own.get(f"{block}.ls1.scale_factor", 1)
        y = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        y = linear(F.gelu(y), f"{block}.mlp.fc2")
        x = x + y * own.get(f"{block}.ls2.scale_factor", 1)
    return x[:, sum(token.shape[1] for token in before) :]


@torch.no_grad()
def test_the_layout_reads_timm_towers() -> None:
    model, images = tiny(), torch.rand(2, 3, 28, 28)
    files = to_file(model.state_dict(), layout(TINY))
    for name, tower, config in (
        ("featurizer", model.dino, TINY.dino),
        ("fused_featurizer", model.siglip, TINY.siglip),
    ):
        mean, std = (torch.tensor(part)[:, None, None] for part in (config.mean, config.std))
        expected = timm_features(
            files, f"vla.vision_backbone.{name}.", (images - mean) / std, config.heads
        )
        ours = tower(images, last_block=False)
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_the_layout_names_every_tensor_once(published: OFT) -> None:
    for config, model in ((TINY, tiny()), (OFT_LIBERO, published)):
        entries = layout(config)
        filled = [name for entry in entries for name in entry.model]
        assert sorted(filled) == sorted(model.state_dict())
        files = [entry.file for entry in entries]
        assert len(set(files)) == len(files)
        assert {entry.file for entry in entries if entry.unread} == set(unread(config))


def test_a_file_of_the_released_layout_gives_the_same_actions(tmp_path: Path) -> None:
    model, tops = tiny(), ("vla", "action_head", "proprio_projector")
    content: dict[str, dict[str, Tensor]] = {top: {} for top in tops}
    for key, tensor in to_file(model.state_dict(), layout(TINY)).items():
        top, rest = key.split(".", 1)
        content[top][rest] = tensor
    assert all(content.values())
    torch.save(content, tmp_path / "model.pt")
    loaded = on_meta(lambda: OFT(TINY))
    load_into(loaded, tmp_path / "model.pt", layout(TINY), torch.float32)
    torch.testing.assert_close(act(loaded, inputs((6,))), act(model, inputs((6,))), atol=0, rtol=0)


# ---- training ----------------------------------------------------------------------------------


def test_the_loss_against_a_hand_computation() -> None:
    predicted = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [9.0, 9.0]]])
    target = torch.tensor([[[0.0, 0.0], [3.0, 3.0]], [[2.0, -4.0], [0.0, 0.0]]])
    assert l1_loss(predicted, target).item() == pytest.approx((1 + 2 + 0 + 1 + 2 + 4 + 18) / 8)
    is_pad = torch.tensor([[False, False], [False, True]])
    assert l1_loss(predicted, target, is_pad).item() == pytest.approx((1 + 2 + 0 + 1 + 2 + 4) / 6)
    assert l1_loss(predicted, target, torch.ones(2, 2, dtype=torch.bool)).item() == 0


def test_gradients_reach_every_parameter_that_an_action_depends_on() -> None:
    model = tiny()
    target = torch.randn(2, TINY.horizon, TINY.action_dim)
    loss(model, inputs((4, 7)), target, torch.zeros(2, TINY.horizon, dtype=torch.bool)).backward()
    idle = ("language_model.lm_head.", "dino.blocks.2.", "siglip.blocks.3.")
    for name, weight in model.named_parameters():
        if name.startswith(idle):
            assert weight.grad is None, name
        else:
            assert weight.grad is not None and weight.grad.isfinite().all(), name
            # A softmax does not feel a bias of its keys.
            assert name.endswith("k_proj.bias") or weight.grad.abs().max() > 0, name


def test_padded_steps_send_no_gradient() -> None:
    model, is_pad = tiny(), torch.tensor([[False, False, True, True]])
    target = torch.zeros(1, TINY.horizon, TINY.action_dim)
    far = target.clone()
    far[:, 2:] = 100.0
    assert loss(model, inputs((4,)), target, is_pad) == loss(model, inputs((4,)), far, is_pad)
