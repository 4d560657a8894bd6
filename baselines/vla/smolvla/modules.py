"""SmolVLA as modules: where the parameters are, and how images, text, state and actions enter."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, SmolVLMConfig, SmolVLMForConditionalGeneration

from baselines.vla.pi0.gemma import Part
from baselines.vla.pi0.modules import embedded_time
from baselines.vla.pi0.vision import encoded
from baselines.vla.smolvla.config import SmolVLAConfig, crosses


class Eye(nn.Module):
    """The image encoder (``SmolVLMVisionTransformer``) and its way into the language model."""

    def __init__(self, tower: Part, connector: Part) -> None:
        super().__init__()
        self.tower: Part = tower
        self.connector: Part = connector

    def forward(self, images: Tensor) -> Tensor:
        """Tokens [N, tokens, width] of images [N, 3, H, W] in [-1, 1], any float dtype."""
        return self.connector(encoded(self.tower, images))


class Embeddings(nn.Module):
    """How state, actions and time enter, and how velocities leave."""

    def __init__(self, config: SmolVLAConfig) -> None:
        super().__init__()
        width = config.expert_width
        self.state_proj = nn.Linear(config.state_dim, config.width)
        self.action_in_proj = nn.Linear(config.action_dim, width)
        self.action_out_proj = nn.Linear(width, config.action_dim)
        self.action_time_mlp_in = nn.Linear(2 * width, width)
        self.action_time_mlp_out = nn.Linear(width, width)


class SmolVLA(nn.Module):
    """The published policy.

    Attributes:
        vision: one camera's image to tokens.
        language: the first layers of SmolVLM2's language model, a ``LlamaModel``.
        head: its language head, which every file holds and no action reads.
        expert: a narrower ``LlamaModel`` without embedding; its odd layers project keys and values
            from those of the language model's same layer.
        embeddings: all linear maps beside these.
    """

    def __init__(self, config: SmolVLAConfig) -> None:
        super().__init__()
        self.config = config
        whole: Any = SmolVLMForConditionalGeneration(transformers_config(config))
        self.vision = Eye(whole.model.vision_model, whole.model.connector)
        self.language: Part = whole.model.text_model
        self.head: Part = whole.lm_head
        self.expert = _expert(config)
        self.embeddings = Embeddings(config)

    def image_tokens(self, images: Tensor) -> Tensor:
        """Tokens [N, tokens, width] of images [N, 3, H, W] in [-1, 1], times ``sqrt(width)``."""
        x = self.vision(images)
        # A number in the dtype of the tokens, as released: bf16 rounds it, and not so the text's.
        return x * torch.tensor(math.sqrt(self.config.width), dtype=x.dtype, device="cpu")

    def text_tokens(self, ids: Tensor) -> Tensor:
        """Embedded text [B, T, width], times ``sqrt(width)``, of token ids [B, T]."""
        return F.embedding(ids, self.language.embed_tokens.weight) * math.sqrt(self.config.width)

    def state_token(self, state: Tensor) -> Tensor:
        """The token [B, 1, width] of a robot state [B, state_dim]."""
        projection = self.embeddings.state_proj
        return projection(state.to(projection.weight.dtype))[:, None]

    def suffix(self, actions: Tensor, time: Tensor) -> Tensor:
        """Input of the expert [B, horizon, expert_width]; an MLP mixes the time in.

        Args:
            actions: noisy actions [B, horizon, action_dim].
            time: [B] in 0..1, 1 is noise.
        """
        part = self.embeddings
        dtype = part.action_in_proj.weight.dtype
        x = part.action_in_proj(actions.to(dtype))
        when = embedded_time(time, x.shape[-1], torch.float64).to(dtype)
        x = torch.cat([x, when[:, None].expand_as(x)], dim=-1)
        return part.action_time_mlp_out(F.silu(part.action_time_mlp_in(x)))


def build(config: SmolVLAConfig) -> SmolVLA:
    """The model of a configuration, with transformers' initial weights."""
    return SmolVLA(config)


def _expert(config: SmolVLAConfig) -> Part:
    sizes = {"hidden_size": config.expert_width, "intermediate_size": config.expert_mlp}
    expert: Part = LlamaModel(LlamaConfig(**_llama(config) | sizes))
    del expert.embed_tokens  # never used
    channels = config.kv_heads * config.head_dim
    for index, layer in enumerate(expert.layers):
        if crosses(index):
            layer.self_attn.k_proj = nn.Linear(channels, channels, bias=False)
            layer.self_attn.v_proj = nn.Linear(channels, channels, bias=False)
    return expert


def transformers_config(config: SmolVLAConfig) -> SmolVLMConfig:
    """The vision-language model in transformers' terms."""
    vision = config.vision
    return SmolVLMConfig(
        image_token_id=0,  # no prompt holds one: the images' tokens stand before it
        tie_word_embeddings=False,
        scale_factor=vision.shuffle,
        text_config=_llama(config) | {"model_type": "llama"},
        vision_config={
            "hidden_size": vision.width,
            "intermediate_size": vision.mlp,
            "num_hidden_layers": vision.layers,
            "num_attention_heads": vision.heads,
            "patch_size": vision.patch,
            "image_size": vision.image,
        },
    )


def _llama(config: SmolVLAConfig) -> dict[str, Any]:
    """The language model, whose angles transformers would compute otherwise than SmolVLA does."""
    return {
        "hidden_size": config.width,
        "intermediate_size": config.mlp,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocabulary,
        "rms_norm_eps": 1e-5,  # SmolVLM2's configuration
        "pad_token_id": None,  # its row of the table would be zeros
    }
