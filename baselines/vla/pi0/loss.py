"""Flow-matching loss of pi0 and pi0.5, its random draws explicit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.core.flow import noised
from baselines.vla.pi0.config import BEST_EXACT, Pi0Config
from baselines.vla.pi0.modules import Pi
from baselines.vla.pi0.program import State, embed_text, encode_images, prefill, velocity

TIME_ALPHA, TIME_BETA = 1.5, 1.0  # of the Beta distribution: more often noisy than clean
TIME_SCALE, TIME_OFFSET = 0.999, 0.001  # never quite clean


@dataclass(frozen=True)
class Draws:
    """The random numbers of one batch: times [n * B] in 0..1, noise [n * B, horizon, action_dim].

    The n noisy actions of a sample stand in a row and read one and the same prefix.
    """

    time: Tensor
    noise: Tensor


def draw(config: Pi0Config, batch: int, generator: torch.Generator) -> Draws:
    """Times, then noise, on the generator's device, float32; ``batch`` is n * B.

    The order is that of transformers; a CPU generator gives the very numbers that it draws after
    ``torch.manual_seed`` with the same seed.
    """
    device = generator.device
    # torch.distributions takes no generator; this is how its Beta is made, as a two-way Dirichlet.
    shape = torch.tensor([TIME_ALPHA, TIME_BETA], device=device).expand(batch, 2)
    beta = torch._sample_dirichlet(shape, generator=generator)[:, 0]
    size = (batch, config.horizon, config.action_dim)
    noise = torch.randn(size, generator=generator, device=device)
    return Draws(beta * TIME_SCALE + TIME_OFFSET, noise)


def loss(
    model: Pi, state: State, actions: Tensor, draws: Draws, is_pad: Tensor | None = None
) -> Tensor:
    """Mean squared error of the velocity, over all dimensions, padded ones included.

    Args:
        model: the policy.
        state: the observations; ``noise`` is not read.
        actions: normalised and padded [B, horizon, action_dim].
        draws: of the same batch.
        is_pad: bool [B, horizon], steps behind the episode's end, which do not count; None: all
            do, as in the published training.

    Returns:
        A scalar that has gradients with respect to all parameters that the actions depend on.
    """
    for stage in (embed_text, encode_images, prefill):
        stage(model, BEST_EXACT, state)
    times = len(draws.time) // len(actions)
    actions = actions.repeat_interleave(times, dim=0)
    proprio, is_pad = (
        None if part is None else part.repeat_interleave(times, dim=0)
        for part in (state.state, is_pad)
    )
    x = noised(actions, draws.noise, draws.time)
    suffix = model.suffix(x, draws.time, proprio)
    prefix = state.prefix.repeated(times)
    predicted, _ = velocity(model, prefix, suffix, model.modulations(draws.time))
    if is_pad is None:
        return F.mse_loss(predicted, draws.noise - actions)
    error = F.mse_loss(predicted, draws.noise - actions, reduction="none").mean(dim=2)
    return (error * ~is_pad).sum() / (~is_pad).sum().clamp(min=1)
