"""FLOPs of an autoencoder of diffusers (``AutoencoderKL`` and FLUX.2's), quant convolutions too."""

from __future__ import annotations

import itertools
from typing import Protocol

from baselines.core.cost import attention, convolution, linear

COLOURS = 3


class Vae(Protocol):
    """What of an autoencoder's configuration its cost depends on."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Of every level, from fine to coarse."""

    @property
    def layers_per_block(self) -> int:
        """Residual blocks of a level of the encoder; the decoder has one more."""

    @property
    def latent_channels(self) -> int:
        """Of a latent, not of a token."""


def encode(config: Vae, image_size: tuple[int, int]) -> int:
    """From an image (height, width) to the moments of its latents."""
    pixels, channels = image_size[0] * image_size[1], config.channels
    total = convolution(pixels, COLOURS, channels[0], 9)
    for level, (inputs, outputs) in enumerate(itertools.pairwise((channels[0], *channels))):
        if level:  # the level before it ends by halving both sides
            pixels //= 4
            total += convolution(pixels, inputs, inputs, 9)
        total += _residual(pixels, inputs, outputs)
        total += (config.layers_per_block - 1) * _residual(pixels, outputs, outputs)
    moments = 2 * config.latent_channels
    total += _middle(pixels, channels[-1]) + convolution(pixels, channels[-1], moments, 9)
    return total + convolution(pixels, moments, moments, 1)


def decode(config: Vae, image_size: tuple[int, int]) -> int:
    """From latents to an image (height, width)."""
    channels = config.channels[::-1]
    latents = config.latent_channels
    pixels = image_size[0] * image_size[1] // 4 ** (len(channels) - 1)
    total = convolution(pixels, latents, latents, 1) + convolution(pixels, latents, channels[0], 9)
    total += _middle(pixels, channels[0])
    for level, (inputs, outputs) in enumerate(itertools.pairwise((channels[0], *channels))):
        if level:
            pixels *= 4
            total += convolution(pixels, inputs, inputs, 9)
        total += _residual(pixels, inputs, outputs)
        total += config.layers_per_block * _residual(pixels, outputs, outputs)
    return total + convolution(pixels, channels[-1], COLOURS, 9)


def _residual(pixels: int, inputs: int, outputs: int) -> int:
    both = convolution(pixels, inputs, outputs, 9) + convolution(pixels, outputs, outputs, 9)
    return both + (convolution(pixels, inputs, outputs, 1) if inputs != outputs else 0)


def _middle(pixels: int, channels: int) -> int:
    """Two residual blocks around an attention with one head."""
    projections = 4 * linear(pixels, channels, channels)
    seen = attention(pixels, pixels, channels)
    return 2 * _residual(pixels, channels, channels) + projections + seen
