"""What time and text do to the blocks of Yak: vectors, shifts, scales, gates, and the head."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.core.flow import TRAIN_TIMESTEPS, timestep_embedding
from baselines.imagewam.config import TIME_CHANNELS

NORM_EPS = 1e-6


class Triple(NamedTuple):
    """What a vector does to one part of a block, each [B, 1, hidden]."""

    shift: Tensor
    scale: Tensor
    gate: Tensor


class Modulation(nn.Module):
    """Shifts, scales and gates from a vector."""

    def __init__(self, hidden: int, triples: int) -> None:
        super().__init__()
        self.triples = triples
        self.lin = nn.Linear(hidden, 3 * triples * hidden)

    def forward(self, vec: Tensor) -> list[Triple]:
        """One triple for each part, of ``vec`` [B, hidden]."""
        parts = self.lin(F.silu(vec))[:, None].chunk(self.triples, dim=-1)
        return [Triple(*part.chunk(3, dim=-1)) for part in parts]


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm without weights, scaled and shifted."""
    return (1 + scale) * F.layer_norm(x, x.shape[-1:], eps=NORM_EPS) + shift


class VectorMlp(nn.Module):
    """Two linear maps with SiLU between them."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.in_layer = nn.Linear(inputs, hidden)
        self.out_layer = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] to [B, hidden]."""
        return self.out_layer(F.silu(self.in_layer(x)))


def time_features(t: Tensor) -> Tensor:
    """Sinusoids [B, 256] of timesteps ``t`` [B] in 0..1: float32 angles of 1000 t."""
    return timestep_embedding(t * TRAIN_TIMESTEPS, TIME_CHANNELS)


class Head(nn.Module):
    """Modulated norm and projection to velocities."""

    def __init__(self, hidden: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, outputs)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2 * hidden))

    def forward(self, x: Tensor, vec: Tensor) -> Tensor:
        """Velocities [B, T, outputs] of ``x`` [B, T, hidden]."""
        shift, scale = self.adaLN_modulation(vec)[:, None].chunk(2, dim=-1)
        return self.linear(modulated(x, shift, scale))
