"""The Wan block, run so that its keys and values can be kept; one function for both experts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_wan import (
    WanAttention,
    WanTimeTextImageEmbedding,
    WanTransformer3DModel,
)
from torch import Tensor, nn

from baselines.core.attention import KV, KVCache, attend
from baselines.core.flow import timestep_embedding
from baselines.core.rotary import rotate_pairs
from baselines.videowam.modules import ActionExpert

Rope = tuple[Tensor, Tensor]
"""Cosines and sines of the tokens' positions, each [T, head_dim / 2]."""


class Time(NamedTuple):
    """A timestep as a Wan expert reads it: [B or 1, T or 1, ...], 1 where all share it."""

    embedding: Tensor  # [.., .., hidden], read by the video head
    modulation: Tensor  # [.., .., 6, hidden], read by the blocks


def embed_time(
    embedder: WanTimeTextImageEmbedding,
    times: Tensor,
    counts: Sequence[int],
    per_token: bool = False,
) -> Time:
    """Embed timesteps for consecutive groups of tokens.

    Args:
        embedder: an expert's ``condition_embedder``.
        times: [B or 1, groups] in 0..1000, in the model's dtype.
        counts: tokens in each group.
        per_token: run the MLP for every token instead of once per group; the same result.
    """

    def spread(x: Tensor) -> Tensor:
        parts = x.split(1, dim=1)
        rest = [-1] * (x.dim() - 2)
        return torch.cat([p.expand(-1, n, *rest) for p, n in zip(parts, counts, strict=True)], 1)

    if per_token:
        times = spread(times)
    channels = embedder.time_embedder.linear_1.in_features
    embedding = embedder.time_embedder(timestep_embedding(times, channels, torch.float64))
    modulation = embedder.time_proj(F.silu(embedding)).unflatten(-1, (6, -1))
    if per_token or len(counts) == 1:
        return Time(embedding, modulation)
    return Time(spread(embedding), spread(modulation))


def read_text(expert: WanTransformer3DModel | ActionExpert, context: Tensor) -> KVCache:
    """Cross-attention keys and values [B, L, heads, head_dim] of every layer.

    Args:
        expert: a video or an action expert.
        context: text features and proprioception tokens [B, L, text_dim].
    """
    context = expert.condition_embedder.text_embedder(context)
    blocks: Iterable[Any] = expert.blocks
    return [_keys_values(block.attn2, context) for block in blocks]


def run_blocks(
    blocks: nn.ModuleList,
    x: Tensor,
    modulation: Tensor,
    text: KVCache,
    rope: Rope,
    past: KVCache | None = None,
    mask: Tensor | None = None,
    text_mask: Tensor | None = None,
    stop_at_keys: bool = False,
) -> tuple[Tensor, KVCache]:
    """Run all blocks of one expert.

    Args:
        blocks: of the video or the action expert.
        x: tokens [B, T, hidden].
        modulation: of :class:`Time`.
        text: of :func:`read_text`.
        rope: of the T own tokens.
        past: per layer the keys and values of P tokens that all own tokens may read.
        mask: bool, broadcastable to [B, heads, T, P + T]; True: may attend. None: all may.
        text_mask: bool, broadcastable to [B, heads, T, L]; None: all may.
        stop_at_keys: leave the last block after its keys and values; ``x`` is then of no use.

    Returns:
        The tokens [B, T, hidden] and the own keys and values of every layer.
    """
    cache: KVCache = []
    block: Any
    for layer, block in enumerate(blocks):
        gates, h, own = _before(block, x, modulation, rope)
        cache.append(own)
        if stop_at_keys and layer == len(blocks) - 1:
            break
        q = rotate_pairs(_queries(block.attn1, h), rope)
        seen = attend(q, own.k, own.v, past[layer] if past is not None else None, mask)
        x = _after(block, x, seen, gates, text[layer], text_mask)
    return x, cache


class Side(NamedTuple):
    """One expert in a pass of both; its fields as the arguments of :func:`run_blocks`."""

    blocks: nn.ModuleList
    x: Tensor
    modulation: Tensor
    text: KVCache
    rope: Rope


def run_both(
    first: Side, second: Side, past: KVCache | None, mask: Tensor, text_mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Run two experts in step, with one attention per layer over the tokens of both.

    Args:
        first: with T tokens.
        second: with U tokens, of equally many blocks with equally wide attention.
        past: per layer the keys and values of P more tokens.
        mask: bool, broadcastable to [B, heads, T + U, P + T + U]; True: may attend.
        text_mask: as in :func:`run_blocks`.

    Returns:
        The tokens of both, [B, T, hidden] and [B, U, hidden].
    """
    sides, states = (first, second), [first.x, second.x]
    counts = [x.shape[1] for x in states]
    block: Any
    for layer, blocks in enumerate(zip(first.blocks, second.blocks, strict=True)):
        gates, queries, own = [], [], []
        for block, x, side in zip(blocks, states, sides, strict=True):
            gate, h, kv = _before(block, x, side.modulation, side.rope)
            gates.append(gate)
            own.append(kv)
            queries.append(rotate_pairs(_queries(block.attn1, h), side.rope))
        k, v = (torch.cat(parts, dim=1) for parts in zip(*own, strict=True))
        earlier = past[layer] if past is not None else None
        seen = attend(torch.cat(queries, dim=1), k, v, earlier, mask).split(counts, dim=1)
        for i, (block, side) in enumerate(zip(blocks, sides, strict=True)):
            text = side.text[layer]
            states[i] = _after(block, states[i], seen[i], gates[i], text, text_mask)
    return states[0], states[1]


def _before(
    block: Any, x: Tensor, modulation: Tensor, rope: Rope
) -> tuple[tuple[Tensor, ...], Tensor, KV]:
    """What a block does before its attention: gates, normed tokens, keys and values."""
    gates = (block.scale_shift_table + modulation).unbind(-2)
    h = modulated(block.norm1, x, gates[0], gates[1])
    return gates, h, _keys_values(block.attn1, h, rope)


def _after(
    block: Any,
    x: Tensor,
    seen: Tensor,
    gates: tuple[Tensor, ...],
    text: KV,
    text_mask: Tensor | None,
) -> Tensor:
    """What a block does with what its attention has ``seen``: output, text, MLP."""
    _, _, gate, ffn_shift, ffn_scale, ffn_gate = gates
    x = x + gate * _output(block.attn1, seen)
    q = _queries(block.attn2, layer_norm(block.norm2, x))
    x = x + _output(block.attn2, attend(q, *text, mask=text_mask))
    return x + ffn_gate * block.ffn(modulated(block.norm3, x, ffn_shift, ffn_scale))


def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Layer norm in one kernel; diffusers' own forward casts to float32 and back in others."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def modulated(norm: nn.LayerNorm, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm followed by an adaptive scale and shift."""
    return layer_norm(norm, x) * (1 + scale) + shift


def _queries(attention: WanAttention, x: Tensor) -> Tensor:
    # Wan normalises all heads together, so the norm comes before the split.
    return attention.norm_q(attention.to_q(x)).unflatten(-1, (attention.heads, -1))


def _keys_values(attention: WanAttention, x: Tensor, rope: Rope | None = None) -> KV:
    k = attention.norm_k(attention.to_k(x)).unflatten(-1, (attention.heads, -1))
    v = attention.to_v(x).unflatten(-1, (attention.heads, -1))
    return KV(k if rope is None else rotate_pairs(k, rope), v)


def _output(attention: WanAttention, seen: Tensor) -> Tensor:
    return attention.to_out[0](seen.flatten(2))
