"""The one pass of the language model, in which every token sees every token."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from baselines.core.attention import attend
from baselines.core.rotary import rotary_table
from baselines.vla.oft.config import LanguageConfig

Rows = Callable[[Tensor], Tensor]
"""Picks some tokens: [B, T, ...] to [B, rows, ...]."""


def language_model(config: LanguageConfig) -> LlamaForCausalLM:
    """A Llama that holds the parameters; its own forward and its buffers are not used."""
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=config.hidden,
            intermediate_size=config.mlp,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads,
            vocab_size=config.vocabulary,
            rms_norm_eps=config.norm_eps,
        )
    )


def hidden_states(
    model: LlamaForCausalLM,
    config: LanguageConfig,
    x: Tensor,
    mask: Tensor | None,
    rows: Rows | None = None,
) -> Tensor:
    """Normed outputs of the last block.

    Attention is bidirectional among *all* tokens, not only among those of the action: the released
    fork of transformers clears ``is_causal`` and passes no mask, and its authors say that this is
    meant (openvla-oft issues 27, 83, 89). So image and text tokens read the placeholders and there
    is no cache of an observation that an action pass could come back to.

    Args:
        model: from :func:`language_model`.
        config: of the same model.
        x: [B, T, hidden] input embeddings, positions 0 to T - 1.
        mask: bool [B, 1, 1, T], True: a token that may be read. None: all.
        rows: the tokens whose output is wanted; None: all.

    Returns:
        [B, T or rows, hidden].
    """
    positions = torch.arange(x.shape[1], device=x.device)[:, None]
    table = rotary_table(positions, [config.head_dim], config.rope_theta, torch.float32)
    # [1, T, 1, head_dim]; Llama rounds the table to the model's dtype before it turns anything.
    cos, sin = (torch.cat([part, part], dim=-1)[None, :, None].to(x.dtype) for part in table)
    layers = list(model.model.layers)
    for layer in layers[:-1]:
        x = _block(layer, config.head_dim, x, (cos, sin), mask)
    return model.model.norm(_block(layers[-1], config.head_dim, x, (cos, sin), mask, rows))


def _block(
    layer: LlamaDecoderLayer,
    head_dim: int,
    x: Tensor,
    rope: tuple[Tensor, Tensor],
    mask: Tensor | None,
    rows: Rows | None = None,
) -> Tensor:
    """One block; with ``rows`` only those tokens ask, while all are still read."""
    attention = layer.self_attn
    normed = layer.input_layernorm(x)
    k = attention.k_proj(normed).unflatten(-1, (-1, head_dim))
    v = attention.v_proj(normed).unflatten(-1, (-1, head_dim))
    k, asking = _rotate_halves(k, rope), rope
    if rows is not None:
        x, normed = rows(x), rows(normed)
        asking = rows(rope[0].expand(len(x), -1, -1, -1)), rows(rope[1].expand(len(x), -1, -1, -1))
    q = _rotate_halves(attention.q_proj(normed).unflatten(-1, (-1, head_dim)), asking)
    x = x + attention.o_proj(attend(q, k, v, mask=mask).flatten(2))
    return x + layer.mlp(layer.post_attention_layernorm(x))


def _rotate_halves(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate channel pairs (i, i + head_dim / 2) of ``x`` [B, T, heads, head_dim]."""
    cos, sin = rope
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin
