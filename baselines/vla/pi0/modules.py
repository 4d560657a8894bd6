"""pi0 and pi0.5 as modules: where the parameters are, and how actions, state and time enter."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PI0Config, PI0ForConditionalGeneration, PI0Model

from baselines.vla.pi0.config import Pi0Config
from baselines.vla.pi0.gemma import AdaptiveNorm, Modulations, Part

SHORTEST_PERIOD, LONGEST_PERIOD = 4e-3, 4.0  # of the sinusoids of the time, which is in 0..1


class Pi(nn.Module):
    """What both have: a PaliGemma, an expert, and a way to turn one denoising step into tokens.

    Attributes:
        model: ``vlm`` is a ``PaliGemmaModel``, ``dit`` the expert, a ``GemmaModel``.
        action_out_proj: from the expert's width to velocities.
    """

    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        self.config = config
        self.model: Part
        self.action_out_proj: nn.Linear

    def text_tokens(self, ids: Tensor) -> Tensor:
        """Embedded text [B, T, width], scaled by ``sqrt(width)``, of token ids [B, T]."""
        weight = self.model.vlm.language_model.embed_tokens.weight
        # A number in the dtype of the weights: both codes round it to bf16.
        scale = torch.tensor(math.sqrt(self.config.width), dtype=weight.dtype, device="cpu")
        return F.embedding(ids, weight) * scale

    def suffix(self, actions: Tensor, time: Tensor, state: Tensor | None) -> Tensor:
        """Input of the expert: [state token |] noisy actions, [B, (1 +) horizon, expert_width].

        Args:
            actions: noisy actions [B, horizon, action_dim].
            time: [B] in 0..1, 1 is noise.
            state: [B, state_dim], or None to leave out the token.
        """
        raise NotImplementedError

    def modulations(self, time: Tensor) -> Modulations:
        """Of all norms of the expert at the times [N]; a tensor among them is [N, 1, 3 * width]."""
        raise NotImplementedError


class Pi0(Pi):
    """pi0, with the parameter names of transformers' ``PI0ForConditionalGeneration``."""

    def __init__(self, config: Pi0Config) -> None:
        super().__init__(config)
        whole = PI0ForConditionalGeneration(transformers_config(config))
        self.model = whole.model
        self.embed_action_time = whole.embed_action_time
        self.action_out_proj = whole.action_out_proj

    def suffix(self, actions: Tensor, time: Tensor, state: Tensor | None) -> Tensor:
        """See :meth:`Pi.suffix`; the time is mixed into the action tokens by an MLP."""
        part = self.embed_action_time
        dtype = part.action_in_proj.weight.dtype
        x = part.action_in_proj(actions.to(dtype))
        when = embedded_time(time, x.shape[-1]).to(dtype)[:, None].expand_as(x)
        x = part.action_time_mlp_in(torch.cat([x, when], dim=-1))
        x = part.action_time_mlp_out(F.silu(x))
        if state is None:
            return x
        return torch.cat([part.state_proj(state.to(dtype))[:, None], x], dim=1)

    def modulations(self, time: Tensor) -> Modulations:
        """None: the norms have fixed weights."""
        return [None] * (2 * self.config.layers + 1)


class ActionTime(nn.Module):
    """How actions and time enter pi0.5."""

    def __init__(self, config: Pi0Config) -> None:
        super().__init__()
        self.action_in_proj = nn.Linear(config.action_dim, config.expert_width)
        self.time_mlp_in = nn.Linear(config.expert_width, config.expert_width)
        self.time_mlp_out = nn.Linear(config.expert_width, config.expert_width)


class Pi05(Pi):
    """pi0.5: pi0 without state token, its expert's norms driven by the time."""

    def __init__(self, config: Pi0Config) -> None:
        super().__init__(config)
        self.model = PI0Model(transformers_config(config))
        expert = self.model.dit
        del expert.embed_tokens  # never used
        for layer in expert.layers:
            layer.input_layernorm = AdaptiveNorm(config.expert_width)
            layer.post_attention_layernorm = AdaptiveNorm(config.expert_width)
        expert.norm = AdaptiveNorm(config.expert_width)
        self.embed_action_time = ActionTime(config)
        self.action_out_proj = nn.Linear(config.expert_width, config.action_dim)

    def suffix(self, actions: Tensor, time: Tensor, state: Tensor | None) -> Tensor:
        """See :meth:`Pi.suffix`; time and state do not enter here."""
        projection = self.embed_action_time.action_in_proj
        return projection(actions.to(projection.weight.dtype))

    def modulations(self, time: Tensor) -> Modulations:
        """See :meth:`Pi.modulations`; one linear map per norm of the same embedded time."""
        part, expert = self.embed_action_time, self.model.dit
        when = embedded_time(time, self.config.expert_width).to(part.time_mlp_in.weight.dtype)
        when = F.silu(part.time_mlp_out(F.silu(part.time_mlp_in(when))))[:, None]
        norms = [
            norm
            for layer in expert.layers
            for norm in (layer.input_layernorm, layer.post_attention_layernorm)
        ]
        return [norm.dense(when) for norm in (*norms, expert.norm)]


def build(config: Pi0Config) -> Pi:
    """The model of a configuration, with transformers' initial weights."""
    return {"pi0": Pi0, "pi05": Pi05}[config.variant](config)


def embedded_time(time: Tensor, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sinusoids ``[sin | cos]`` of times [N] in 0..1, [N, width], computed in ``dtype``.

    The periods grow geometrically from ``SHORTEST_PERIOD`` to ``LONGEST_PERIOD``.
    """
    place = torch.linspace(0, 1, width // 2, dtype=dtype, device=time.device)
    period = SHORTEST_PERIOD * (LONGEST_PERIOD / SHORTEST_PERIOD) ** place
    angle = time.to(dtype)[:, None] * (1 / period * 2 * math.pi)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def transformers_config(config: Pi0Config) -> PI0Config:
    """The same sizes in transformers' terms."""
    attention = {
        "model_type": "gemma",
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
    }
    vision = config.vision
    return PI0Config(
        vlm_config={
            "model_type": "paligemma",
            "projection_dim": config.width,
            "hidden_size": config.width,
            "image_token_id": config.vocabulary,
            "text_config": attention
            | {
                "hidden_size": config.width,
                "intermediate_size": config.mlp,
                "vocab_size": config.vocabulary,
            },
            "vision_config": {
                "model_type": "siglip_vision_model",
                "hidden_size": vision.width,
                "intermediate_size": vision.mlp,
                "num_hidden_layers": vision.layers,
                "num_attention_heads": vision.heads,
                "patch_size": vision.patch,
                "image_size": vision.image,
                "vision_use_head": False,
            },
        },
        dit_config=attention
        | {"hidden_size": config.expert_width, "intermediate_size": config.expert_mlp},
        chunk_size=config.horizon,
        max_action_dim=config.action_dim,
        max_state_dim=config.state_dim,
        num_inference_steps=config.steps,
    )
