"""Where the noise of an inference on OmniGen2 comes from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.imagewam.noise import latent_noise
from baselines.imagewam.omnigen2.config import OmniGen2Config
from baselines.imagewam.omnigen2.vae import tokens_of


def of_latents(seeds: Sequence[int], config: OmniGen2Config, device: torch.device) -> Tensor:
    """Float32 noise [B, c, h, w] that the current image's latents are sampled with.

    The released code draws it from torch's global generator, so that it differs at every replan and
    depends on all that was drawn before. Here it is the cell's own, of its seed at this step.
    """
    return latent_noise(seeds, config.latent_shape, device)


def goal_then_action(
    seeds: Sequence[int], config: OmniGen2Config, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Float32 noise of a goal [B, N, C] and of the action [B, H, A], drawn in this order.

    One generator per sample, as the released code does where an action reads a goal.
    """
    goals, actions = [], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        goals.append(torch.randn((1, *config.latent_shape), generator=generator))
        shape = (1, config.horizon, config.action_dim)
        actions.append(torch.randn(shape, generator=generator))
    return tokens_of(torch.cat(goals)).to(device), torch.cat(actions).to(device)
