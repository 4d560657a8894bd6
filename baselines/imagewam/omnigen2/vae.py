"""FLUX.1's autoencoder: images to sampled latents to tokens, and back."""

from __future__ import annotations

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor, nn

from baselines.imagewam.omnigen2.config import VaeConfig


class ImageTokens(nn.Module):
    """diffusers' ``AutoencoderKL``, its latents packed 2x2 to the editor's tokens."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        count = len(config.channels)
        self.vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * count,
            up_block_types=("UpDecoderBlock2D",) * count,
            block_out_channels=config.channels,
            layers_per_block=config.layers_per_block,
            latent_channels=config.latent_channels,
            norm_num_groups=config.norm_groups,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )

    def encode(self, image: Tensor, noise: Tensor | None) -> Tensor:
        """Tokens of an image.

        Args:
            image: [B, 3, height, width] in [-1, 1].
            noise: [B, c, h, w] that the latents are sampled with; None: their mean.

        Returns:
            [B, rows * columns, 4 * c], see :func:`tokens_of`.
        """
        posterior = DiagonalGaussianDistribution(self.vae._encode(image))
        latent = posterior.mean if noise is None else posterior.mean + posterior.std * noise
        return tokens_of((latent - self.config.shift) * self.config.scale)

    def decode(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Image [B, 3, height, width] in [-1, 1] of tokens [B, N, C] on a grid."""
        latent = latents_of(tokens, grid) / self.config.scale + self.config.shift
        return self.vae._decode(latent, return_dict=False)[0].clamp(-1, 1)


def tokens_of(latents: Tensor) -> Tensor:
    """Tokens [B, N, 4 c] of latents [B, c, h, w]: row by row, channels (row, column, latent)."""
    squares = latents.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # [B, c, rows, 2, columns, 2]
    return squares.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def latents_of(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Latents [B, c, h, w] of tokens [B, N, 4 c] on a grid."""
    squares = tokens.unflatten(2, (2, 2, -1)).unflatten(1, grid)  # [B, rows, columns, 2, 2, c]
    return squares.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
