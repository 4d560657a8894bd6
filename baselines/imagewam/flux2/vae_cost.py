"""FLOPs of FLUX.2's autoencoder (diffusers' ``AutoencoderKLFlux2``)."""

from __future__ import annotations

import itertools

from baselines.core.cost import attention, convolution, linear
from baselines.imagewam.flux2.config import VaeConfig

COLOURS = 3


def encode(config: VaeConfig, image_size: tuple[int, int]) -> int:
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


def decode(config: VaeConfig, image_size: tuple[int, int]) -> int:
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
