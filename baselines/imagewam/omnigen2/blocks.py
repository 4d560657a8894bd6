"""OmniGen2's transformer block: diffusers' Lumina 2 block, which equals it to the bit in float32.

Only the attention is run by a processor of ours, which writes the cache, reads an earlier one and
keeps the rotary product in float64 as the released code does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import TimestepEmbedding
from diffusers.models.normalization import LuminaLayerNormContinuous
from diffusers.models.transformers.transformer_lumina2 import Lumina2TransformerBlock
from torch import Tensor, nn

from baselines.core.attention import KV, KVCache, attend
from baselines.core.rotary import rotate_pairs
from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.omnigen2.config import CONDITIONING, OmniGen2Config, TimeOrder
from baselines.imagewam.omnigen2.packing import Table
from baselines.imagewam.omnigen2.timesteps import sinusoids

HEAD_EPS = 1e-5  # of the norms of queries and keys, whatever the blocks' own
OUT_EPS = 1e-6  # of the norm before the last projection


class Turn(NamedTuple):
    """What a block hands to its attention beside the tokens, in the place of a rotary table."""

    table: Table
    record: KVCache | None = None  # is told this layer's keys and values
    past: KV | None = None  # is read before the own tokens


class GroupedAttention:
    """Attention in which each head of keys and values serves several heads of queries."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Turn | None = None,
    ) -> Tensor:
        """Return the update [B, T, dim]; append this layer's keys and values to the record."""
        turn = image_rotary_emb
        assert turn is not None
        q, k, v = (
            layer(hidden_states).unflatten(-1, (heads, -1))
            for layer, heads in zip((attn.to_q, attn.to_k, attn.to_v), _heads(attn), strict=True)
        )
        q = rotate_pairs(attn.norm_q(q), turn.table)
        k = rotate_pairs(attn.norm_k(k), turn.table)
        if turn.record is not None:
            turn.record.append(KV(k, v))
        return attn.to_out[0](attend(q, k, v, turn.past, attention_mask).flatten(2))


def _heads(attn: Any) -> tuple[int, int, int]:
    kv = attn.heads * attn.inner_kv_dim // attn.inner_dim
    return attn.heads, kv, kv


def make_block(config: OmniGen2Config, width: int, *, modulated: bool) -> Lumina2TransformerBlock:
    """A block of any width with the editor's heads, which diffusers' class alone cannot have."""
    block = Lumina2TransformerBlock(
        dim=width,
        num_attention_heads=1,
        num_kv_heads=1,
        multiple_of=config.mlp_multiple,
        ffn_dim_multiplier=1.0,
        norm_eps=config.norm_eps,
        modulation=modulated,
    )
    block.attn = Attention(
        query_dim=width,
        dim_head=config.head_dim,
        heads=config.heads,
        kv_heads=config.kv_heads,
        qk_norm="rms_norm",
        eps=HEAD_EPS,
        bias=False,
        out_bias=False,
        processor=GroupedAttention(),  # type: ignore[arg-type]  # any callable will do
    )
    return block


def make_blocks(config: OmniGen2Config, width: int, count: int, *, modulated: bool = True) -> Any:
    """So many blocks."""
    return nn.ModuleList(make_block(config, width, modulated=modulated) for _ in range(count))


def make_head(width: int, channels: int) -> LuminaLayerNormContinuous:
    """The last norm, scaled by the timestep, and projection."""
    return LuminaLayerNormContinuous(
        embedding_dim=width,
        conditioning_embedding_dim=min(width, CONDITIONING),
        elementwise_affine=False,
        eps=OUT_EPS,
        bias=True,
        out_dim=channels,
    )


def make_embedder(width: int) -> TimestepEmbedding:
    """From sinusoids of a timestep to what modulates the blocks."""
    return TimestepEmbedding(TIME_CHANNELS, min(width, CONDITIONING))


def embed(embedder: TimestepEmbedding, timestep: Tensor, scale: float, order: TimeOrder) -> Tensor:
    """Embed timesteps [B] of 0..1000."""
    return embedder(sinusoids(timestep, scale, order))


def keys_only(block: Any, x: Tensor, time: Tensor, rope: Table) -> KV:
    """Keys and values of a block, computed without its queries, MLP and output."""
    normed = block.norm1(x, time)[0]
    attn = block.attn
    _, heads, _ = _heads(attn)
    k, v = (layer(normed).unflatten(-1, (heads, -1)) for layer in (attn.to_k, attn.to_v))
    return KV(rotate_pairs(attn.norm_k(k), rope), v)


def softmax_mask(valid: Tensor | None) -> Tensor | None:
    """Mask [B, 1, 1, T] over keys."""
    return None if valid is None else valid[:, None, None]


def as_valid(mask: Tensor, others: int) -> Tensor:
    """Which keys count [B, P + others], given which of the first P do."""
    return torch.cat([mask, mask.new_ones(mask.shape[0], others)], dim=1)
