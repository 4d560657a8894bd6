"""FLOPs of diffusers' KL autoencoders, which all editors have in some size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from baselines.core.cost import attention, convolution, linear

COLOURS = 3


def encode(
    channels: Sequence[int], layers: int, latents: int, image_size: tuple[int, int], *, quant: bool
) -> int:
    """From an image to the moments of its latents.

    Args:
        channels: of the levels, fine to coarse.
        layers: residual blocks of a level.
        latents: channels of the latents.
        image_size: (height, width).
        quant: whether a 1x1 convolution of the moments comes last.
    """
    pixels = image_size[0] * image_size[1]
    total = convolution(pixels, COLOURS, channels[0], 9)
    for level, (inputs, outputs) in enumerate(itertools.pairwise((channels[0], *channels))):
        if level:  # the level before it ends by halving both sides
            pixels //= 4
            total += convolution(pixels, inputs, inputs, 9)
        total += _residual(pixels, inputs, outputs)
        total += (layers - 1) * _residual(pixels, outputs, outputs)
    moments = 2 * latents
    total += _middle(pixels, channels[-1]) + convolution(pixels, channels[-1], moments, 9)
    return total + quant * convolution(pixels, moments, moments, 1)


def decode(
    channels: Sequence[int], layers: int, latents: int, image_size: tuple[int, int], *, quant: bool
) -> int:
    """From latents to an image; arguments as of :func:`encode`."""
    channels = channels[::-1]
    pixels = image_size[0] * image_size[1] // 4 ** (len(channels) - 1)
    total = quant * convolution(pixels, latents, latents, 1)
    total += convolution(pixels, latents, channels[0], 9) + _middle(pixels, channels[0])
    for level, (inputs, outputs) in enumerate(itertools.pairwise((channels[0], *channels))):
        if level:
            pixels *= 4
            total += convolution(pixels, inputs, inputs, 9)
        total += _residual(pixels, inputs, outputs)
        total += layers * _residual(pixels, outputs, outputs)
    return total + convolution(pixels, channels[-1], COLOURS, 9)


def _residual(pixels: int, inputs: int, outputs: int) -> int:
    both = convolution(pixels, inputs, outputs, 9) + convolution(pixels, outputs, outputs, 9)
    return both + (convolution(pixels, inputs, outputs, 1) if inputs != outputs else 0)


def _middle(pixels: int, channels: int) -> int:
    """Two residual blocks around an attention with one head."""
    projections = 4 * linear(pixels, channels, channels)
    seen = attention(pixels, pixels, channels)
    return 2 * _residual(pixels, channels, channels) + projections + seen
