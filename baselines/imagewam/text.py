"""Qwen3 as a text encoder: three of its hidden states, side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model

from baselines.imagewam.config import TextConfig

ROPE_THETA = 1e6


class TextFeatures(nn.Module):
    """transformers' ``Qwen3Model``, with the language-model head it was released with."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Qwen3Model(
            Qwen3Config(
                hidden_size=config.hidden,
                intermediate_size=config.mlp,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.kv_heads,
                head_dim=config.head_dim,
                vocab_size=config.vocabulary,
            )
        )
        # Its frequencies are a buffer that no file holds; we compute the tables ourselves.
        del self.model.rotary_emb
        self.lm_head = (
            None
            if config.tied_embeddings
            else nn.Linear(config.hidden, config.vocabulary, bias=False)
        )

    def forward(self, ids: Tensor, mask: Tensor | None, *, all_layers: bool) -> Tensor:
        """Features of tokens.

        Args:
            ids: [B, L], padded on the right.
            mask: bool [B, L], True: a token; None: all are.
            all_layers: run to the end and through the head, as the released code does.

        Returns:
            [B, L, features]. Attention is causal, so padding never changes a valid token's.
        """
        length = ids.shape[1]
        allowed = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()[None, None]
        if mask is not None:
            allowed = allowed & mask[:, None, None]
        x = self.model.embed_tokens(ids)
        rope = half_rotary_table(length, self.config.head_dim, ROPE_THETA, x)
        states = [x]
        last = self.config.layers if all_layers else max(self.config.read_layers)
        for layer in self.model.layers[:last]:
            x = layer(x, attention_mask=allowed, position_embeddings=rope)
            states.append(x)
        if all_layers:
            head = self.model.embed_tokens if self.lm_head is None else self.lm_head
            F.linear(self.model.norm(x), head.weight)  # logits that nobody reads
        return torch.cat([states[index] for index in self.config.read_layers], dim=-1)


def half_rotary_table(length: int, dim: int, theta: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [1, L, dim] of positions 0.., as transformers' layers take them.

    Channel i turns with channel i + dim / 2; angles in float32, result in the dtype of ``like``.
    """
    position = torch.arange(length, device=like.device, dtype=torch.float32)
    exponent = torch.arange(0, dim, 2, device=like.device, dtype=torch.float32) / dim
    angles = (position[:, None] * (1.0 / theta**exponent)).repeat(1, 2)[None]
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)
