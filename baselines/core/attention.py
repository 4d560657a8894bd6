"""The one attention of all policies: queries read ``[cache | own]`` in a single softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class KV(NamedTuple):
    """Keys and values of some tokens in one layer, [B, T, heads, head_dim], ready to be read.

    Ready means after the key norm and the rotary embedding.
    """

    k: Tensor
    v: Tensor


KVCache = list[KV]
"""One :class:`KV` per layer, in the order in which the layers run."""

Ask = Callable[[Tensor, Tensor, Tensor | None], None]
"""Is told queries [B, Q, heads, head_dim], all keys [B, P + K, kv_heads, head_dim] and the mask."""

# A variable of the module and no ContextVar, at each of which torch.compile would cut its graph.
_ask: Ask | None = None


@contextmanager
def asked(ask: Ask) -> Iterator[None]:
    """Let ``ask`` know of every softmax before it is computed; nothing else changes."""
    global _ask
    before, _ask = _ask, ask
    try:
        yield
    finally:
        _ask = before


def attend(
    q: Tensor, k: Tensor, v: Tensor, past: KV | None = None, mask: Tensor | None = None
) -> Tensor:
    """Softmax attention of own tokens over cached and own tokens.

    Args:
        q: [B, Q, heads, head_dim].
        k: own keys [B, K, kv_heads, head_dim]; ``heads`` is a multiple of ``kv_heads``.
        v: own values, as ``k``.
        past: cached keys and values of P tokens, read before the own ones.
        mask: bool, broadcastable to [B, heads, Q, P + K]; True: may attend. None: all may.

    Returns:
        [B, Q, heads, head_dim], scaled by ``head_dim ** -0.5``.
    """
    if past is not None:
        k, v = torch.cat([past.k, k], dim=1), torch.cat([past.v, v], dim=1)
    if _ask is not None:
        _ask(q, k, mask)
    groups = q.shape[2] // k.shape[2]
    if groups > 1:  # repeated here, because CUDA's fast kernels do not take groups and a mask
        k, v = k.repeat_interleave(groups, dim=2), v.repeat_interleave(groups, dim=2)
    if torch.is_autocast_enabled("cpu"):  # whose bf16 kernel takes longer than the float32 one
        with torch.autocast("cpu", enabled=False):
            return _softmax(q.float(), k.float(), v.float(), mask)
    return _softmax(q, k, v, mask)


def _softmax(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=mask
    )
    return out.transpose(1, 2)


def joined(caches: Sequence[KVCache]) -> KVCache:
    """Several caches of the same layers, one after the other along the tokens."""
    return [
        KV(torch.cat([kv.k for kv in layer], dim=1), torch.cat([kv.v for kv in layer], dim=1))
        for layer in zip(*caches, strict=True)
    ]


def repeated(cache: KVCache, times: int) -> KVCache:
    """The cache of a batch in which every sample stands so many times in a row."""
    if times == 1:
        return cache
    return [KV(*(part.repeat_interleave(times, dim=0) for part in kv)) for kv in cache]


def tensors(*caches: KVCache | None) -> list[Tensor]:
    """All keys and values of some caches, each once; None: a cache that is not kept."""
    every = [tensor for cache in caches for layer in cache or () for tensor in layer]
    return list({id(tensor): tensor for tensor in every}.values())


def tokens(cache: KVCache, start: int, stop: int | None = None) -> KVCache:
    """The tokens ``start`` to ``stop`` of a cache, as views."""
    return [KV(kv.k[:, start:stop], kv.v[:, start:stop]) for kv in cache]
