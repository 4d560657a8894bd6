"""ImageWAM on Ovis-U1 written out once more: one sample, no cache, no padding, float64.

``python -m tests.naive_yak SEED FOLDER`` writes ``model.pt`` and ``in.safetensors``, ``c.json`` and
``out.safetensors`` for ``wambench checkpoint replay``: random sizes and weights, and the actions of
this script. Editor and expert run together at every flow step, in the order text, image, action,
under one mask; their attention is an explicit softmax. It shares nothing with the models but the
names of the checkpoint, and has been held against the authors' goldens.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

Weights = Mapping[str, Tensor]
EDITOR, EXPERT = "mixtures.video.transformer.", "mixtures.action."


def silu(x: Tensor) -> Tensor:
    return x / (1 + (-x).exp())


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def normed(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()


def affine(w: Weights, name: str, x: Tensor) -> Tensor:
    return normed(x) * w[name + ".weight"] + w[name + ".bias"]


def scaled(x: Tensor, scale: Tensor) -> Tensor:
    return x / ((x**2).mean(-1, keepdim=True) + 1e-6).sqrt() * scale


def attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Of [T, heads, dim] each; mask [T, T]."""
    logits = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
    p = logits.masked_fill(~mask, -math.inf).softmax(-1)
    return torch.einsum("hqk,khd->qhd", p, v).flatten(1)


def angles(places: list[tuple[int, int, int]], config: Mapping[str, Any]) -> Tensor:
    rows = []
    for place in places:
        row = []
        for at, width in zip(place, config["axes"], strict=True):
            row += [at / config["theta"] ** (2 * i / width) for i in range(width // 2)]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def turned(x: Tensor, angle: Tensor) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def qkv(w: Weights, name: str, x: Tensor, angle: Tensor, heads: int) -> list[Tensor]:
    q, k, v = (part.unflatten(-1, (heads, -1)) for part in linear(w, name + ".qkv", x).chunk(3, -1))
    q = turned(scaled(q, w[name + ".norm.query_norm.scale"]), angle)
    return [q, turned(scaled(k, w[name + ".norm.key_norm.scale"]), angle), v]


def vector(w: Weights, name: str, x: Tensor) -> Tensor:
    return linear(w, name + ".out_layer", silu(linear(w, name + ".in_layer", x)))


def time(w: Weights, name: str, t: float) -> Tensor:
    rates = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float64) / 128)
    at = 1000 * t * rates
    return vector(w, name + "time_in", torch.cat([at.cos(), at.sin()]))


def refined(w: Weights, context: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    name = EDITOR + "txt_in."
    c = linear(w, name + "c_embedder.linear_1", context.mean(0))
    c = linear(w, name + "c_embedder.linear_2", silu(c))
    x = torch.cat([w[name + "cls_token"][0], linear(w, name + "input_embedder", context)])
    for index in range(2):
        block = f"{name}individual_token_refiner.blocks.{index}."
        gate, mlp_gate = linear(w, block + "adaLN_modulation.1", silu(c)).chunk(2)
        q, k, v = linear(w, block + "self_attn_qkv", affine(w, block + "norm1", x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (2 * heads, -1)) for part in (q, k, v))
        everyone = torch.ones(len(x), len(x), dtype=torch.bool)
        x = x + gate * linear(w, block + "self_attn_proj", attended(q, k, v, everyone))
        inner = silu(linear(w, block + "mlp.fc1", affine(w, block + "norm2", x)))
        x = x + mlp_gate * linear(w, block + "mlp.fc2", inner)
    return x[1:], x[0]


def velocity(
    w: Weights, config: Mapping[str, Any], context: Tensor, tokens: Tensor, x: Tensor, t: float
) -> Tensor:
    """Of the action ``x`` [H, A]: context [L, F], image tokens [N, C]."""
    heads, width = config["heads"], config["hidden"]
    text, cls = refined(w, context, heads)
    image = linear(w, EDITOR + "img_in", tokens)
    action = linear(w, EXPERT + "action_encoder", x)
    counts = [len(text), len(image), len(action)]
    columns = config["image_hw"][1] // 16
    angle = angles(
        [(0, 0, 0)] * counts[0]
        + [(1, i // columns, i % columns) for i in range(counts[1])]
        + [(2, i, 0) for i in range(counts[2])],
        config,
    )
    total, prefix = sum(counts), counts[0] + counts[1]
    asks = torch.arange(total)[:, None] >= prefix  # of actions
    mask = asks | (torch.arange(total)[None] < prefix)
    alone = mask[counts[0] :, counts[0] :]
    seen, acts = time(w, EDITOR, 0) + vector(w, EDITOR + "vector_in", cls), time(w, EXPERT, t)

    def told(name: str, vec: Tensor, parts: int) -> list[Tensor]:
        return list(linear(w, name, silu(vec)).chunk(3 * parts))

    def at(y: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return (1 + scale) * normed(y) + shift

    def mlp(name: str, y: Tensor) -> Tensor:
        return linear(w, name + ".2", gelu(linear(w, name + ".0", y)))

    cuts = [angle[: counts[0]], angle[counts[0] : prefix], angle[prefix:]]
    for index in range(config["double"]):
        here, there = (f"{name}double_blocks.{index}." for name in (EDITOR, EXPERT))
        m_t = told(here + "txt_mod.lin", seen, 2)
        m_i, m_a = told(here + "img_mod.lin", seen, 3), told(there + "img_mod.lin", acts, 3)
        joint = [
            qkv(w, here + "txt_attn", at(text, *m_t[:2]), cuts[0], heads),
            qkv(w, here + "img_attn", at(image, *m_i[:2]), cuts[1], heads),
            qkv(w, there + "img_attn", at(action, *m_a[:2]), cuts[2], heads),
        ]
        own = [
            qkv(w, here + "img_self_attn", at(image, *m_i[6:8]), cuts[1], heads),
            qkv(w, there + "img_self_attn", at(action, *m_a[6:8]), cuts[2], heads),
        ]
        out = attended(*(torch.cat(part) for part in zip(*joint, strict=True)), mask).split(counts)
        only = attended(*(torch.cat(part) for part in zip(*own, strict=True)), alone)
        both = only.split(counts[1:])
        text = text + m_t[2] * linear(w, here + "txt_attn.proj", out[0])
        text = text + m_t[5] * mlp(here + "txt_mlp", at(text, *m_t[3:5]))
        image = image + m_i[2] * linear(w, here + "img_attn.proj", out[1])
        image = image + m_i[8] * linear(w, here + "img_self_attn.proj", both[0])
        image = image + m_i[5] * mlp(here + "img_mlp", at(image, *m_i[3:5]))
        action = action + m_a[2] * linear(w, there + "img_attn.proj", out[2])
        action = action + m_a[8] * linear(w, there + "img_self_attn.proj", both[1])
        action = action + m_a[5] * mlp(there + "img_mlp", at(action, *m_a[3:5]))

    merged = torch.cat([text, image])
    cuts = [angle[:prefix], angle[prefix:]]
    for index in range(config["single"]):
        streams = []
        for name, x_in, vec, cut in (
            (f"{EDITOR}single_blocks.{index}.", merged, seen, cuts[0]),
            (f"{EXPERT}single_blocks.{index}.", action, acts, cuts[1]),
        ):
            m = told(name + "modulation.lin", vec, 1)
            wide = linear(w, name + "linear1", at(x_in, *m[:2]))
            q, k, v = (y.unflatten(-1, (heads, -1)) for y in wide[:, : 3 * width].chunk(3, -1))
            q = turned(scaled(q, w[name + "norm.query_norm.scale"]), cut)
            k = turned(scaled(k, w[name + "norm.key_norm.scale"]), cut)
            streams.append((name, m[2], gelu(wide[:, 3 * width :]), (q, k, v)))
        parts = zip(*(stream[3] for stream in streams), strict=True)
        out = attended(*(torch.cat(part) for part in parts), mask).split([prefix, counts[2]])
        deltas = [
            gate * linear(w, name + "linear2", torch.cat([o, inner], -1))
            for (name, gate, inner, _), o in zip(streams, out, strict=True)
        ]
        merged, action = merged + deltas[0], action + deltas[1]
    shift, scale = linear(w, EXPERT + "head.adaLN_modulation.1", silu(acts)).chunk(2)
    return linear(w, EXPERT + "head.linear", at(action, shift, scale))


def action(
    weights: Weights,
    config: Mapping[str, Any],
    text: Tensor,
    proprio: Tensor,
    tokens: Tensor,
    noise: Tensor,
) -> Tensor:
    """A chunk [H, A] from valid text [L, F], proprioception [P], image tokens and noise."""
    w = {name: tensor.double() for name, tensor in weights.items()}
    context = torch.cat([text.double(), linear(w, "proprio_encoder", proprio.double())[None]])
    u = torch.linspace(1, 0, config["steps"] + 1, dtype=torch.float64)
    sigma = config["shift"] * u / (1 + (config["shift"] - 1) * u)
    x = noise.double()
    for now, later in itertools.pairwise(sigma):
        x = x + (later - now) * velocity(w, config, context, tokens.double(), x, float(now))
    return x


def main(seed: int, folder: Path) -> None:
    """Make a hold-out; no golden was recorded at these sizes."""
    from baselines.core.checkpoints.writing import write_released
    from baselines.imagewam.ovis_u1.layout import layout
    from baselines.imagewam.ovis_u1.model import OvisU1WAM
    from baselines.imagewam.ovis_u1.replay import config_from_json
    from tests.golden_data import randomised

    chosen = random.Random(seed)
    axes = [2 * chosen.randint(1, 3), 2 * chosen.randint(1, 4), 2 * chosen.randint(1, 4)]
    heads, size = chosen.randint(2, 4), chosen.randint(1, 3)
    config = {
        "hidden": heads * sum(axes), "heads": heads, "head_dim": sum(axes), "axes": axes,
        "theta": 10000, "double": chosen.randint(1, 3), "single": chosen.randint(1, 4),
        "mlp_ratio": chosen.choice([2, 4]), "text_dim": 8 * chosen.randint(2, 6), "ctx_len": 15,
        "latent": 4, "vae_ch": [16, 16, 16, 16], "vae_groups": 8, "vae_blocks": 1,
        "vae_scale": 0.13025, "image_hw": [16 * chosen.randint(1, 4), 16 * chosen.randint(1, 4)],
        "action_dim": chosen.choice([7, 14]), "proprio_dim": chosen.choice([8, 14]),
        "horizon": chosen.choice([4, 16]), "steps": chosen.choice([4, 10]), "shift": 5.0,
        "dtype": "fp32",
    }  # fmt: skip
    architecture = config_from_json(config)
    model = randomised(OvisU1WAM(architecture).trained(), seed)
    write_released(folder / "model.pt", model.state_dict(), layout(architecture), 1, torch.float32)
    content = torch.load(folder / "model.pt", weights_only=True)
    weights = content["mot"] | {
        f"proprio_encoder.{name}": tensor for name, tensor in content["proprio_encoder"].items()
    }
    draw = torch.Generator().manual_seed(seed)
    lengths = [chosen.randint(1, config["ctx_len"]) for _ in range(size)]
    given = {
        "in.context": torch.randn(size, config["ctx_len"], config["text_dim"], generator=draw),
        "in.context_mask": torch.arange(config["ctx_len"])[None] < torch.tensor(lengths)[:, None],
        "in.proprio": torch.randn(size, config["proprio_dim"], generator=draw),
        "in.ref_tokens": torch.randn(size, architecture.image_tokens, 16, generator=draw),
        "in.noise_action": torch.randn(1, config["horizon"], config["action_dim"], generator=draw),
    }
    actions = [
        action(
            weights, config, given["in.context"][row, :length], given["in.proprio"][row],
            given["in.ref_tokens"][row], given["in.noise_action"][0],
        )
        for row, length in enumerate(lengths)
    ]  # fmt: skip
    out = torch.stack(actions) if size > 1 else actions[0]
    save_file(given, folder / "in.safetensors")
    save_file({"out.action": out.float()}, folder / "out.safetensors")
    (folder / "c.json").write_text(json.dumps({"config": config}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
