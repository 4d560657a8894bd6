"""Qwen3 as a text encoder: three of its hidden states, side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model

from baselines.imagewam.flux2.config import TextConfig
from baselines.imagewam.language import causal_mask, half_rotary_table

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
        allowed = causal_mask(length, mask, ids.device)
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
