"""FLOPs of Wan2.2's autoencoder (diffusers' ``AutoencoderKLWan``, residual).

It is causal in time and runs in chunks that read what the chunks before them left: the first frame
is a chunk of its own, then every latent frame. So all its convolutions cost what their outputs
cost, and layers that join or split frames in time do not run in the first chunk.
"""

from __future__ import annotations

import itertools

from baselines.core.cost import attention, convolution
from baselines.videowam.config import VaeConfig

COLOURS = 3
RESIDUAL_BLOCKS = 2  # of a level of the encoder; the decoder has one more


def encode_frame(config: VaeConfig, latent_channels: int, image_size: tuple[int, int]) -> int:
    """From one image (height, width) to the moments of its latents."""
    pixels = image_size[0] * image_size[1] // config.patch**2
    widths = [config.base_dim * factor for factor in (1, *config.dim_mult)]
    total = convolution(pixels, COLOURS * config.patch**2, widths[0], 27)
    for level, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        if level:  # the level before it ends by halving both sides
            pixels //= 4
            total += convolution(pixels, inputs, inputs, 9)
        total += _level(pixels, inputs, outputs, RESIDUAL_BLOCKS)
    moments = 2 * latent_channels
    total += _middle(pixels, 1, widths[-1]) + convolution(pixels, widths[-1], moments, 27)
    return total + convolution(pixels, moments, moments, 1)


def decode_clip(
    config: VaeConfig, latent_channels: int, frames: int, image_size: tuple[int, int]
) -> int:
    """From so many latent frames to a clip of images (height, width)."""
    first = _decode_chunk(config, latent_channels, image_size, is_first=True)
    later = _decode_chunk(config, latent_channels, image_size, is_first=False)
    return first + (frames - 1) * later


def _decode_chunk(
    config: VaeConfig, latent_channels: int, image_size: tuple[int, int], *, is_first: bool
) -> int:
    """One latent frame, which becomes one image if it is the first and else several."""
    factors = config.dim_mult[::-1]
    widths = [config.decoder_base_dim * factor for factor in (factors[0], *factors)]
    pixels = image_size[0] * image_size[1] // config.patch**2 // 4 ** (len(factors) - 1)
    frames = 1
    total = convolution(pixels, latent_channels, latent_channels, 1)
    total += convolution(pixels, latent_channels, widths[0], 27) + _middle(pixels, 1, widths[0])
    upsampling = (*config.temporal_downsample[::-1], None)  # None: the last level keeps its size
    for (inputs, outputs), in_time in zip(itertools.pairwise(widths), upsampling, strict=True):
        total += _level(pixels * frames, inputs, outputs, RESIDUAL_BLOCKS + 1)
        if in_time and not is_first:
            total += convolution(pixels * frames, outputs, 2 * outputs, 3)
            frames *= 2
        if in_time is not None:
            pixels *= 4
            total += convolution(pixels * frames, outputs, outputs, 9)
    return total + convolution(pixels * frames, widths[-1], COLOURS * config.patch**2, 27)


def _level(positions: int, inputs: int, outputs: int, blocks: int) -> int:
    return _residual(positions, inputs, outputs) + (blocks - 1) * _residual(
        positions, outputs, outputs
    )


def _residual(positions: int, inputs: int, outputs: int) -> int:
    both = convolution(positions, inputs, outputs, 27) + convolution(
        positions, outputs, outputs, 27
    )
    return both + (convolution(positions, inputs, outputs, 1) if inputs != outputs else 0)


def _middle(pixels: int, frames: int, channels: int) -> int:
    """Two residual blocks around an attention with one head, within each frame."""
    projections = convolution(pixels, channels, 4 * channels, 1)
    seen = frames * (projections + attention(pixels, pixels, channels))
    return 2 * _residual(pixels * frames, channels, channels) + seen
