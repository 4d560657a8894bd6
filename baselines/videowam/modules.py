"""The parameters of FastWAM, in classes of diffusers and transformers where these exist."""

from __future__ import annotations

import functools

from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import (
    WanAttention,
    WanTimeTextImageEmbedding,
    WanTransformer3DModel,
    WanTransformerBlock,
)
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from baselines.videowam.config import FastWamConfig


class ActionBlock(WanTransformerBlock):
    """A Wan block whose attention is wider than its residual stream."""

    def __init__(self, config: FastWamConfig) -> None:
        hidden, heads = config.action_hidden, config.heads
        super().__init__(hidden, config.action_ffn, heads, cross_attn_norm=True, eps=config.eps)
        wide = functools.partial(WanAttention, hidden, heads, config.head_dim, config.eps)
        self.attn1 = wide()
        self.attn2 = wide(cross_attention_dim_head=config.head_dim)


class ActionExpert(nn.Module):
    """Denoises an action chunk; named as the video DiT wherever both have the same part."""

    def __init__(self, config: FastWamConfig) -> None:
        super().__init__()
        hidden = config.action_hidden
        self.action_encoder = nn.Linear(config.action_dim, hidden)
        self.condition_embedder = WanTimeTextImageEmbedding(
            hidden, config.freq_dim, 6 * hidden, config.text_dim
        )
        self.blocks = nn.ModuleList(ActionBlock(config) for _ in range(config.layers))
        self.head = nn.Linear(hidden, config.action_dim)


class FastWam(nn.Module):
    """Both experts and the proprioception encoder; the same for plain, joint and idm.

    Attributes:
        vae: None if the model is only fed latents; a checkpoint of FastWAM does not hold it.
        text_encoder: None if the model is only fed text features; not in a checkpoint either.
    """

    vae: AutoencoderKLWan | None
    text_encoder: UMT5EncoderModel | None

    def __init__(self, config: FastWamConfig) -> None:
        super().__init__()
        self.config = config
        self.video = make_video(config)
        del self.video.rope  # tables that no checkpoint holds; baselines.core.rotary makes them
        self.action = ActionExpert(config)
        self.proprio_encoder = nn.Linear(config.proprio_dim, config.text_dim)
        self.vae = None
        self.text_encoder = None

    def trained(self) -> nn.ModuleDict:
        """The components that a checkpoint holds; VAE and text encoder have files of their own."""
        names = ("video", "action", "proprio_encoder")
        return nn.ModuleDict({name: getattr(self, name) for name in names})


def make_video(config: FastWamConfig) -> WanTransformer3DModel:
    """Wan2.2's video DiT; 4,999,787,712 parameters in the published sizes."""
    return WanTransformer3DModel(
        patch_size=config.patch,
        num_attention_heads=config.heads,
        attention_head_dim=config.head_dim,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        text_dim=config.text_dim,
        freq_dim=config.freq_dim,
        ffn_dim=config.video_ffn,
        num_layers=config.layers,
        eps=config.eps,
    )


def make_vae(config: FastWamConfig) -> AutoencoderKLWan | None:
    """Wan2.2's VAE, or None if ``config`` has none."""
    if config.vae is None:
        return None
    channels = 3 * config.vae.patch**2
    return AutoencoderKLWan(
        is_residual=True,
        base_dim=config.vae.base_dim,
        decoder_base_dim=config.vae.decoder_base_dim,
        z_dim=config.latent_channels,
        dim_mult=list(config.vae.dim_mult),
        temperal_downsample=list(config.vae.temporal_downsample),
        in_channels=channels,
        out_channels=channels,
        patch_size=config.vae.patch,
        scale_factor_spatial=config.vae_spatial,
        scale_factor_temporal=config.vae_temporal,
        latents_mean=list(config.vae.latents_mean),
        latents_std=list(config.vae.latents_std),
    )


def make_text_encoder(config: FastWamConfig) -> UMT5EncoderModel | None:
    """The UMT5 encoder, or None if ``config`` has none."""
    if config.text_encoder is None:
        return None
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=config.text_encoder.vocab,
            d_model=config.text_dim,
            d_kv=config.text_encoder.head_dim,
            d_ff=config.text_encoder.ffn,
            num_heads=config.text_encoder.heads,
            num_layers=config.text_encoder.layers,
            feed_forward_proj="gated-gelu",
        )
    )


def make_model(config: FastWamConfig) -> FastWam:
    """The whole model: what a checkpoint holds, the VAE and the text encoder."""
    model = FastWam(config)
    model.vae = make_vae(config)
    model.text_encoder = make_text_encoder(config)
    return model
