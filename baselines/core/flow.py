"""Flow matching: one schedule, one Euler step, one training target for every policy.

The convention everywhere: sigma = 1 is noise and sigma = 0 is data,
``x_sigma = (1 - sigma) * x + sigma * noise``, the model predicts ``noise - x``.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

TRAIN_TIMESTEPS = 1000  # timesteps are sigma * 1000, as in diffusers and both reference codes


def shifted(u: Tensor, shift: float) -> Tensor:
    """Move uniform times towards the noisy end: ``shift * u / (1 + (shift - 1) * u)``."""
    return shift * u / (1 + (shift - 1) * u)


@dataclass(frozen=True)
class Committed:
    """Actions of a chunk that will be executed whatever the rest becomes: real-time chunking.

    After every flow step they are put back to where the flow would be had it known them, so that
    the rest is sampled to go with them (inpainting, as Lugmayr et al. 2022 do with pixels; for
    chunks see Black et al. 2025).

    Attributes:
        actions: normalised [B, H, A]; only read where ``mask`` is.
        mask: bool [B, H, A].
        noise: [B, H, A], what the chunk started from.
    """

    actions: Tensor
    mask: Tensor
    noise: Tensor

    def put_back(self, x: Tensor, sigma: Tensor) -> Tensor:
        """``x`` [B, H, A] at noise level ``sigma`` (a scalar) with its committed part in place."""
        level = sigma.to(x.dtype).expand(x.shape[0])
        return torch.where(self.mask, noised(self.actions.to(x), self.noise.to(x), level), x)


@dataclass(frozen=True)
class FlowSchedule:
    """``steps`` Euler steps from sigma 1 to 0; ``shift`` 1 spaces them evenly."""

    steps: int
    shift: float = 1.0

    @functools.cached_property
    def _sigmas(self) -> Tensor:
        return shifted(torch.linspace(1, 0, self.steps + 1), self.shift)

    def timesteps(self, dtype: torch.dtype) -> Tensor:
        """Timesteps [steps] in 0..1000 at which the model is asked, on the CPU.

        The reference codes keep timesteps and step sizes in the model's dtype, so bf16 rounds them.
        """
        return (self._sigmas[:-1] * TRAIN_TIMESTEPS).to(dtype)

    def time(self, index: int, like: Tensor) -> Tensor:
        """Timestep number ``index`` for every sample of ``like`` [B, ...]: [B], in its dtype.

        A fill on the device and not a copy to it, which would stop a CUDA graph.
        """
        value = float(self.timesteps(like.dtype)[index])
        return torch.full((like.shape[0],), value, dtype=like.dtype, device=like.device)

    def step(
        self, x: Tensor, velocity: Tensor, index: int, committed: Committed | None = None
    ) -> Tensor:
        """One Euler step of ``x`` along ``velocity``, in the dtype of ``x``."""
        delta = self._sigmas[index + 1] - self._sigmas[index]
        moved = x + velocity * float(delta.to(x.dtype))
        return moved if committed is None else committed.put_back(moved, self._sigmas[index + 1])


def seeded_noise(seed: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal float32 noise from a fresh CPU generator, the same on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def timestep_embedding(t: Tensor, dim: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Sinusoids ``[cos | sin]`` of ``t * 10000 ** (-2 i / dim)``, computed in ``dtype``.

    Args:
        t: timesteps of any shape [...].
        dim: channels, even.
        dtype: precision of the angles (Wan: float64, FLUX.2: float32).

    Returns:
        [..., dim] in the dtype of ``t``.
    """
    half = dim // 2
    exponents = -math.log(10000.0) * torch.arange(half, dtype=dtype, device=t.device) / half
    # At t = 1000 an angle is a thousand times as wrong as its rate, and libraries differ in the
    # last bit of a float32 exponential: take the double one, so that every machine agrees.
    rates = exponents.double().exp().to(dtype)
    angles = t.to(dtype)[..., None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1).to(t.dtype)


def noised(x: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Mix data with noise; ``sigma`` [B] applies to whole samples of ``x`` [B, ...]."""
    sigma = sigma.view(-1, *[1] * (x.dim() - 1)).to(x.dtype)
    return (1 - sigma) * x + sigma * noise


class LossWeight:
    """Weight of a sample's loss by its timestep: a bell around 500, zero at 1000, mean 1.

    ``w(t) = (g(t) - min g) / c`` with ``g(t) = exp(-2 ((t - 500) / 1000)^2)``; minimum and c (the
    mean of ``g - min g``) are taken over the shifted grid of 1000 training timesteps
    (schedulers/scheduler_continuous.py of both reference codes).
    """

    def __init__(self, shift: float) -> None:
        u = torch.linspace(1, 0, TRAIN_TIMESTEPS + 1)[:-1]
        bell = self._bell(shifted(u, shift) * TRAIN_TIMESTEPS)
        self._lowest = bell.min()
        self._mean = (bell - self._lowest).mean()

    @staticmethod
    def _bell(t: Tensor) -> Tensor:
        return torch.exp(-2 * ((t - TRAIN_TIMESTEPS / 2) / TRAIN_TIMESTEPS) ** 2)

    def __call__(self, t: Tensor) -> Tensor:
        """Weights [B] of timesteps [B] in 0..1000."""
        t = t.float()
        return (self._bell(t) - self._lowest.to(t.device)) / self._mean.to(t.device)
