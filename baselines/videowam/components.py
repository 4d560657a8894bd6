"""The frozen parts that FastWAM's checkpoints leave out: text encoder and VAE."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.videowam.modules import FastWam


def encode_text(model: FastWam, ids: Tensor | None, valid: Tensor | None) -> Tensor:
    """Last hidden states [B, L, text_dim] of UMT5.

    Args:
        model: its ``text_encoder`` is run.
        ids: tokens [B, L].
        valid: [B, L] bool, False at pads.
    """
    assert model.text_encoder is not None, "without a text encoder, text_features are needed"
    assert ids is not None and valid is not None, "text_ids and text_valid go together"
    # transformers builds this mask itself from [B, L], but by a value it reads from the tensor.
    dtype = model.proprio_encoder.weight.dtype
    hidden = torch.zeros(valid.shape, dtype=dtype, device=valid.device)
    hidden = hidden.masked_fill(~valid, torch.finfo(dtype).min)[:, None, None, :]
    return model.text_encoder(input_ids=ids, attention_mask=hidden).last_hidden_state


def encode_image(model: FastWam, image: Tensor | None) -> Tensor:
    """Normalised latents [B, C, 1, h, w] of an image [B, 3, height, width] in -1..1."""
    assert model.vae is not None and image is not None, "an image and a VAE, or first_frame"
    latents = model.vae.encode(image[:, :, None]).latent_dist.mode()
    mean, std = _statistics(model, latents)
    return (latents - mean) / std


def decode_video(model: FastWam, latents: Tensor) -> Tensor:
    """Pictures [B, 3, frames, height, width] in -1..1 of normalised latents [B, C, F, h, w]."""
    assert model.vae is not None, "decoding needs a VAE"
    mean, std = _statistics(model, latents)
    return model.vae.decode(latents * std + mean).sample


def _statistics(model: FastWam, like: Tensor) -> tuple[Tensor, Tensor]:
    assert model.config.vae is not None
    mean, std = (
        torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1, 1)
        for values in (model.config.vae.latents_mean, model.config.vae.latents_std)
    )
    return mean, std
