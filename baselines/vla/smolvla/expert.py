"""The action expert: layers that read cache and chunk take turns with layers that read the cache.

Rotary angles have the base of pi0's, 10000, in the language model too, whatever SmolVLM2 was
trained with (lerobot 0.4.4, policies/smolvla/smolvlm_with_expert.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.core.attention import KV, KVCache, attend
from baselines.vla.pi0.gemma import Part, Table, rope, rotate_halves, run_layer
from baselines.vla.pi0.prefix import Prefix
from baselines.vla.smolvla.config import crosses


def crossed(model: Part, cache: KVCache) -> KVCache:
    """The cache with keys and values projected for the layers that read it alone."""
    return [
        _projected(layer, seen) if crosses(index) else seen
        for index, (layer, seen) in enumerate(zip(model.layers, cache, strict=True))
    ]


def run_expert(model: Part, x: Tensor, prefix: Prefix, *, is_crossed: bool) -> Tensor:
    """All layers and the final norm.

    Args:
        model: the expert, a ``LlamaModel``.
        x: [B, T, width]; no token sees one behind it.
        prefix: of the same samples.
        is_crossed: its cache has been through :func:`crossed`.

    Returns:
        [B, T, width].
    """
    count, head_dim = x.shape[1], model.layers[0].self_attn.head_dim
    table = rope(prefix.positions(count), head_dim)
    own_table = rope(torch.arange(count, device=x.device)[None], head_dim)
    causal = prefix.followed(x.new_ones(count, count, dtype=torch.bool).tril())
    seen = None if prefix.visible is None else prefix.visible[:, None, None]
    cache = prefix.cache if is_crossed else crossed(model, prefix.cache)
    for index, (layer, past) in enumerate(zip(model.layers, cache, strict=True)):
        if crosses(index):
            x = _cross(layer, x, own_table, past, seen)
        else:
            x, _ = run_layer(layer, x, table, past, causal)
    return model.norm(x)


def _projected(layer: Part, seen: KV) -> KV:
    attention = layer.self_attn
    k, v = attention.k_proj(seen.k.flatten(2)), attention.v_proj(seen.v.flatten(2))
    return KV(*(part.unflatten(-1, (-1, attention.head_dim)) for part in (k, v)))


def _cross(layer: Part, x: Tensor, table: Table, seen: KV, mask: Tensor | None) -> Tensor:
    """A layer that reads ``seen`` alone; positions of its queries count from the chunk's begin."""
    attention = layer.self_attn
    q = attention.q_proj(layer.input_layernorm(x)).unflatten(-1, (-1, attention.head_dim))
    h = attend(rotate_halves(q, table), seen.k, seen.v, mask=mask)
    x = x + attention.o_proj(h.flatten(2))
    return x + layer.mlp(layer.post_attention_layernorm(x))
