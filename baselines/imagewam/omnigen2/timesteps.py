"""Sinusoids of timesteps at OmniGen2's scale, where the last bit of a frequency matters.

ImageWAM feeds 0..1000 and OmniGen2 multiplies by 1000: an angle reaches 10^6, of which a float32
keeps steps of 0.06. Two things that elsewhere change nothing then make another model: the order of
the two products, and how the exponential behind a frequency is rounded. Libraries differ in that:
float32 exponentials of CPUs round a few of the 128 frequencies up whose true values lie 0.47 to 0.5
of a step above the number below, and which ones depends on the processor. One such frequency moves
the action of the tiny goldens by 5e-3. The table here is therefore the same on every machine: the
exponential rounded correctly, but for the three (:data:`ROUNDED_UP`) that the goldens tell of the
machine they were recorded on. What the published weights were trained with, nobody says.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from baselines.imagewam.config import TIME_CHANNELS
from baselines.imagewam.omnigen2.config import TimeOrder

MAX_PERIOD = 10_000.0
ROUNDED_UP = (13, 44, 119)


def frequencies(device: torch.device) -> Tensor:
    """Float32 frequencies ``MAX_PERIOD ** (-k / 128)`` of the sinusoids, [128]."""
    half = TIME_CHANNELS // 2
    k = torch.arange(half, dtype=torch.float32, device=device)
    rates = (-math.log(MAX_PERIOD) * k / half).double().exp().float()
    is_up = torch.stack([k == number for number in ROUNDED_UP]).any(dim=0)
    return torch.where(is_up, torch.nextafter(rates, torch.full_like(rates, math.inf)), rates)


def sinusoids(timestep: Tensor, scale: float, order: TimeOrder) -> Tensor:
    """``[cos | sin]`` [B, 256] of timesteps [B] in 0..1000, in their dtype; float32 inside."""
    rates, t = frequencies(timestep.device), timestep.float()[:, None]
    angles = t * rates * scale if order == "frequency_first" else (t * scale) * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1).to(timestep.dtype)
