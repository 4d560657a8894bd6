"""The noise that an autoencoder samples its latents with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.core.inputs import batch_noise

LATENT_STREAM = 0x5EED  # keeps the latents' noise apart from the action's, of the same seed


def latent_noise(seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Float32 noise [B, *shape] of the cells' own seeds at this step.

    The released code draws it from torch's global generator, so that it differs at every replan and
    depends on all that was drawn before.
    """
    return batch_noise([seed ^ LATENT_STREAM for seed in seeds], shape, device)
