"""Gemma layers of the language model and of the expert, run over caches.

transformers' decoder layers hold the parameters; the forward pass is here so that all keys and
values pass through :func:`baselines.core.attention.attend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.core.attention import KV, KVCache, attend
from baselines.core.rotary import rotary_table

ROPE_THETA = 10000.0
NORM_EPS = 1e-6

Part = Any
"""A module of transformers; mypy cannot tell their submodules from tensors."""

Table = tuple[Tensor, Tensor]
"""Cosines and sines of every token, each [B, T, 1, head_dim / 2], float32."""

Modulations = Sequence[Tensor | None]
"""Per norm [B or 1, 1, 3 * width]: scale, shift and gate; None where the norm has fixed weights.

Two per layer, in the order in which they run, and that of the final norm.
"""


class AdaptiveNorm(nn.Module):
    """RMS norm whose scale and shift, and the gate of the branch behind it, depend on the time.

    ``dense`` makes them from the embedded time (openpi, models/gemma.py, ``RMSNorm``).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, modulation: Tensor) -> tuple[Tensor, Tensor]:
        """Norm of ``x`` [B, T, width] and the gate, both in the dtype of ``x``."""
        scale, shift, gate = modulation.chunk(3, dim=-1)
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + NORM_EPS)
        return (wide * (1 + scale.float()) + shift.float()).to(x.dtype), gate.to(x.dtype)


def normed(norm: Part, x: Tensor, modulation: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The norm of ``x`` and the gate of what follows (None: no gate)."""
    return (norm(x), None) if modulation is None else norm(x, modulation)


def _plus(x: Tensor, branch: Tensor, gate: Tensor | None) -> Tensor:
    return x + branch if gate is None else x + gate * branch


def rope(positions: Tensor, head_dim: int) -> Table:
    """Rotary table of integer ``positions`` [B, T]."""
    cos, sin = rotary_table(positions.reshape(-1, 1), (head_dim,), ROPE_THETA, torch.float32)
    shape = (*positions.shape, 1, head_dim // 2)
    return cos.view(shape), sin.view(shape)


def rotate_halves(x: Tensor, table: Table) -> Tensor:
    """Rotate channel i of ``x`` [B, T, heads, head_dim] with channel ``i + head_dim / 2``.

    float32 inside, as in the JAX code that trained the published weights.
    """
    cos, sin = table
    low, high = x.float().chunk(2, dim=-1)
    return torch.cat([cos * low - sin * high, sin * low + cos * high], dim=-1).to(x.dtype)


def _heads(projection: Part, x: Tensor, head_dim: int) -> Tensor:
    return projection(x).unflatten(-1, (-1, head_dim))


def keys_values(attention: Part, x: Tensor, table: Table) -> KV:
    """Keys and values of normed tokens [B, T, width]."""
    k = _heads(attention.k_proj, x, attention.head_dim)
    v = _heads(attention.v_proj, x, attention.head_dim)
    return KV(rotate_halves(k, table), v)


def run_layer(
    layer: Part,
    x: Tensor,
    table: Table,
    past: KV | None = None,
    mask: Tensor | None = None,
    modulations: Modulations = (None, None),
) -> tuple[Tensor, KV]:
    """One decoder layer: attention over ``[past | own]``, then the gated MLP.

    Args:
        layer: a ``GemmaDecoderLayer``, possibly with :class:`AdaptiveNorm` norms.
        x: [B, T, width].
        table: rotary table of the T tokens.
        past: keys and values of P earlier tokens.
        mask: see :func:`attend`.
        modulations: of the layer's two norms.

    Returns:
        [B, T, width] and the keys and values of the T tokens.
    """
    attention = layer.self_attn
    h, gate = normed(layer.input_layernorm, x, modulations[0])
    own = keys_values(attention, h, table)
    q = rotate_halves(_heads(attention.q_proj, h, attention.head_dim), table)
    h = attend(q, own.k, own.v, past, mask)
    x = _plus(x, attention.o_proj(h.flatten(2)), gate)
    h, gate = normed(layer.post_attention_layernorm, x, modulations[1])
    return _plus(x, layer.mlp(h), gate), own


def prefill(
    model: Part, x: Tensor, table: Table, mask: Tensor | None, skip_dead_block: bool
) -> KVCache:
    """Keys and values of the prefix [B, P, width] in every layer of a ``GemmaModel``.

    Nothing reads the output itself: ``skip_dead_block`` leaves out what only it depends on.
    """
    cache: KVCache = []
    layers = list(model.layers)
    last = layers.pop() if skip_dead_block else None
    for layer in layers:
        x, own = run_layer(layer, x, table, mask=mask)
        cache.append(own)
    if last is None:
        model.norm(x)
    else:
        cache.append(keys_values(last.self_attn, last.input_layernorm(x), table))
    return cache


def run_expert(
    model: Part,
    x: Tensor,
    table: Table,
    cache: KVCache,
    mask: Tensor | None,
    modulations: Modulations,
) -> tuple[Tensor, KVCache]:
    """All layers of the expert over the prefix's cache.

    Returns:
        [B, T, width] before the final norm, and the tokens' own keys and values.
    """
    own: KVCache = []
    for index, (layer, past) in enumerate(zip(model.layers, cache, strict=True)):
        pair = modulations[2 * index : 2 * index + 2]
        x, kv = run_layer(layer, x, table, past, mask, pair)
        own.append(kv)
    return x, own
