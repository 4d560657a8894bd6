"""Qwen2.5-VL as a text encoder: its language model without a picture, and its last hidden state."""

from __future__ import annotations

from torch import Tensor, nn
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

from baselines.imagewam.language import causal_mask, half_rotary_table
from baselines.imagewam.omnigen2.config import TextConfig


class TextFeatures(nn.Module):
    """transformers' ``Qwen2_5_VLTextModel``.

    A text token stands at one and the same place on the three axes of its rotary embedding, which
    then is the usual one.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.head_dim = config.hidden // config.heads
        self.model = Qwen2_5_VLTextModel(
            Qwen2_5_VLTextConfig(
                hidden_size=config.hidden,
                intermediate_size=config.mlp,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.kv_heads,
                vocab_size=config.vocabulary,
                rms_norm_eps=config.norm_eps,
                rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            )
        )
        # Its frequencies are a buffer that no file holds; we compute the tables ourselves.
        del self.model.rotary_emb

    def forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Features [B, L, hidden] after the last norm.

        Args:
            ids: [B, L], padded on the right with whatever.
            mask: bool [B, L], True: a token; None: all are. Padding is taken for the tokenizer's
                pad token: the first pad of a text is read where ``proprio_place`` is as_released.
        """
        length = ids.shape[1]
        if mask is not None:
            ids = ids.masked_fill(~mask, self.config.pad_token)
        allowed = causal_mask(length, mask, ids.device)
        x = self.model.embed_tokens(ids)
        rope = half_rotary_table(length, self.head_dim, self.config.rope_theta, x)
        for layer in self.model.layers:
            x = layer(x, attention_mask=allowed, position_embeddings=rope)
        return self.model.norm(x)
