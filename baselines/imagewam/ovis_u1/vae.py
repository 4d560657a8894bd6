"""Ovis-U1's autoencoder: images to sampled tokens and back."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from baselines.imagewam.ovis_u1.config import VaeConfig


class ImageTokens(nn.Module):
    """diffusers' ``AutoencoderKL``, packed and scaled to the editor's tokens."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        count = len(config.channels)
        self.scale = config.scale
        self.vae: Any = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * count,
            up_block_types=("UpDecoderBlock2D",) * count,
            block_out_channels=config.channels,
            layers_per_block=config.layers_per_block,
            latent_channels=config.latent_channels,
            norm_num_groups=config.norm_groups,
        )

    def encode(self, image: Tensor, noise: Tensor | None) -> Tensor:
        """Tokens of an image.

        Args:
            image: [B, 3, height, width] in [-1, 1].
            noise: standard normal, of the latents' shape [B, channels, height / 8, width / 8];
                None: take their mean.

        Returns:
            [B, rows * columns, 4 * latent_channels], row by row; channels ordered (latent channel,
            row within the pair, column within the pair).
        """
        found = self.vae.encode(image).latent_dist
        latent = found.mean if noise is None else found.mean + found.std * noise
        return pixel_unshuffle(latent * self.scale, 2).flatten(2).transpose(1, 2)

    def decode(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Image [B, 3, height, width] in [-1, 1] of tokens [B, N, C] on a grid."""
        packed = tokens.transpose(1, 2).unflatten(2, grid)
        latent = pixel_shuffle(packed, 2) / self.scale
        return self.vae.decode(latent, return_dict=False)[0].clamp(-1, 1)
