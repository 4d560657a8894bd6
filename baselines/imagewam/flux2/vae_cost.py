"""FLOPs of FLUX.2's autoencoder (diffusers' ``AutoencoderKLFlux2``)."""

from __future__ import annotations

from baselines.imagewam import vae_cost
from baselines.imagewam.flux2.config import VaeConfig


def encode(config: VaeConfig, image_size: tuple[int, int]) -> int:
    """From an image (height, width) to the moments of its latents."""
    sizes = (config.channels, config.layers_per_block, config.latent_channels)
    return vae_cost.encode(*sizes, image_size, quant=True)


def decode(config: VaeConfig, image_size: tuple[int, int]) -> int:
    """From latents to an image (height, width)."""
    sizes = (config.channels, config.layers_per_block, config.latent_channels)
    return vae_cost.decode(*sizes, image_size, quant=True)
