"""Qwen3 as a text encoder: three of its hidden states, side by side."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from baselines.imagewam.config import TextConfig


class TextFeatures(nn.Module):
    """The encoder with the language-model head it was released with."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.read_layers = config.read_layers
        self.lm = Qwen3ForCausalLM(
            Qwen3Config(
                hidden_size=config.hidden,
                intermediate_size=config.mlp,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.kv_heads,
                head_dim=config.head_dim,
                vocab_size=config.vocabulary,
                tie_word_embeddings=config.tied_embeddings,
                rope_parameters={"rope_type": "default", "rope_theta": 1e6},
            )
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
        lm: Any = self.lm
        model = lm.model
        length = ids.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        allowed = causal[None, None]
        if mask is not None:
            allowed = allowed & mask[:, None, None]
        x = model.embed_tokens(ids)
        positions = torch.arange(length, device=ids.device)[None]
        rope = rope_tables(x, positions, model.config)
        states = [x]
        last = len(model.layers) if all_layers else max(self.read_layers)
        for layer in model.layers[:last]:
            x = layer(x, attention_mask=allowed, position_embeddings=rope)
            states.append(x)
        if all_layers:
            lm.lm_head(model.norm(x))
        return torch.cat([states[index] for index in self.read_layers], dim=-1)


def rope_tables(x: Tensor, positions: Tensor, config: Any) -> tuple[Tensor, Tensor]:
    """Cosines and sines [1, L, head_dim] for transformers' half-rotation.

    Computed here and not taken from the module, whose frequencies are a buffer that no checkpoint
    holds (so it is missing from a model that was built without memory).
    """
    half = torch.arange(0, config.head_dim, 2, device=x.device, dtype=torch.float32)
    rates = 1.0 / config.rope_parameters["rope_theta"] ** (half / config.head_dim)
    angles = positions[..., None].float() * rates
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(x.dtype), angles.sin().to(x.dtype)
