"""What the editor is told: hidden states of a language model that has seen picture and prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model

from baselines.imagewam.language import causal_mask, half_rotary_table
from baselines.imagewam.ovis_u1.config import ConditionConfig
from baselines.imagewam.ovis_u1.eye import Eye
from baselines.imagewam.packing import valid_mask


class Condition(nn.Module):
    """AIMv2, the visual embedding table, and transformers' ``Qwen3Model``."""

    def __init__(self, config: ConditionConfig) -> None:
        super().__init__()
        self.config = config
        language = config.language
        self.visual = Eye(config.eye)
        self.vte = nn.Embedding(config.eye.words, language.hidden)
        self.llm = Qwen3Model(
            Qwen3Config(
                hidden_size=language.hidden,
                intermediate_size=language.mlp,
                num_hidden_layers=language.layers,
                num_attention_heads=language.heads,
                num_key_value_heads=language.kv_heads,
                head_dim=language.head_dim,
                vocab_size=language.vocabulary,
            )
        )
        # Its frequencies are a buffer that no file holds; we compute the tables ourselves.
        del self.llm.rotary_emb

    def forward(
        self,
        picture: Tensor,
        token_ids: Tensor,
        lengths: Sequence[int],
        *,
        by_minimum: bool,
        language_head: bool,
    ) -> Tensor:
        """Features of picture and prompt.

        Args:
            picture: [B, 3, H, W] in [-1, 1].
            token_ids: [B, L] of the text before the picture and behind it, padded on the right.
            lengths: tokens of each sample that are no padding.
            by_minimum: as :func:`unsigned` takes it.
            language_head: compute the logits too, which nobody reads.

        Returns:
            [B, L + N + 2, features]; N tokens of the picture and a mark on either side stand behind
            the prefix. Attention is causal, so padding never changes a valid token's.
        """
        language: Any = self.llm
        x = self.embed(self.words(picture, by_minimum=by_minimum), token_ids)
        size = x.shape[1]
        extra = size - token_ids.shape[1]
        valid = valid_mask([length + extra for length in lengths], size, x.device)
        allowed = causal_mask(size, valid, x.device)
        config = self.config.language
        rope = half_rotary_table(size, config.head_dim, config.rope_theta, x)
        before = x
        for layer in language.layers:
            before, x = x, layer(x, attention_mask=allowed, position_embeddings=rope)
        last = language.norm(x)
        if language_head:
            F.linear(last, language.embed_tokens.weight)  # tied
        return torch.cat([last, before], dim=-1)

    def words(self, picture: Tensor, *, by_minimum: bool) -> Tensor:
        """Probabilities of visual words [B, N, words]; arguments as above."""
        return self.visual(unsigned(picture, by_minimum=by_minimum))

    def embed(self, words: Tensor, token_ids: Tensor) -> Tensor:
        """What the language model starts from, [B, L + N + 2, hidden]."""
        eye = self.config.eye
        # As released: the first of the two marks is also the last visual word.
        first = eye.words - eye.marks - 1
        marks = self.vte.weight[first : first + 2].expand(len(words), -1, -1)
        before, behind = self.llm.embed_tokens(token_ids).tensor_split(
            [self.config.prefix_tokens], dim=1
        )
        picture = words @ self.vte.weight
        return torch.cat([before, marks[:, :1], picture, marks[:, 1:], behind], dim=1)


def unsigned(picture: Tensor, *, by_minimum: bool) -> Tensor:
    """Pictures [B, 3, H, W] in [-1, 1] as float32 in [0, 1].

    ``by_minimum``: as released, a picture without a value below 0 is taken to be in [0, 1] already,
    so that one that is bright everywhere comes out brighter. (The released code looks at the whole
    batch, and its evaluation has batches of one.)
    """
    picture = picture.float()
    moved = (picture + 1) * 0.5
    if by_minimum:
        is_signed = picture.amin(dim=(1, 2, 3), keepdim=True) < 0
        moved = torch.where(is_signed, moved, picture)
    return moved.clamp(0, 1)
