"""FLUX.2's autoencoder: images to tokens and back."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from torch import Tensor, nn

from baselines.imagewam.flux2.config import VaeConfig


class ImageTokens(nn.Module):
    """diffusers' ``AutoencoderKLFlux2``, packed and normalised to the editor's tokens."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        count = len(config.channels)
        self.vae = AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * count,
            up_block_types=("UpDecoderBlock2D",) * count,
            block_out_channels=config.channels,
            layers_per_block=config.layers_per_block,
            latent_channels=config.latent_channels,
        )

    def encode(self, image: Tensor) -> Tensor:
        """Tokens of an image.

        Args:
            image: [B, 3, height, width] in [-1, 1].

        Returns:
            [B, rows * columns, 4 * latent_channels], row by row; channels ordered (latent channel,
            row within the pair, column within the pair).
        """
        latent = self.vae._encode(image).chunk(2, dim=1)[0]  # the mean; nothing is sampled
        packed = nn.functional.pixel_unshuffle(latent, 2)
        return self.vae.bn(packed).flatten(2).transpose(1, 2)

    def decode(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Image [B, 3, height, width] in [-1, 1] of tokens [B, N, C] on a grid."""
        bn: Any = self.vae.bn
        mean, variance = (m.view(1, -1, 1, 1) for m in (bn.running_mean, bn.running_var))
        packed = tokens.transpose(1, 2).unflatten(2, grid) * torch.sqrt(variance + bn.eps) + mean
        latent = nn.functional.pixel_shuffle(packed, 2)
        return self.vae._decode(latent, return_dict=False)[0].clamp(-1, 1)
