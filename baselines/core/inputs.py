"""Observations to tensors, the same way for every learned policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.core.checkpoints.statistics import Statistics
from baselines.core.flow import Committed, seeded_noise
from baselines.core.robots import Robot
from baselines.core.tokens import Tokenize
from wambench import Observation
from wambench.errors import PolicyFault


@dataclass(frozen=True)
class Inputs:
    """A batch of observations on the model's device, in its dtype."""

    images: Sequence[Tensor]  # per camera, uint8 [B, 3, H, W]
    picture: Tensor  # uint8 [B, 3, H, W], all cameras in one picture
    proprio: Tensor  # [B, P], normalised
    noise: Tensor  # float32 [B, H, A], what the action starts from
    token_ids: Tensor  # [B, L], padded with 0 on the right to the model's text length
    lengths: tuple[int, ...]  # tokens that are not padding
    noise_seeds: tuple[int, ...]  # for further noise
    own_seeds: tuple[int, ...]  # of the cells, whatever seed an option fixes
    committed: Committed | None = None  # what of the chunks is settled already; None: nothing


@dataclass(frozen=True)
class Preparation:
    """How one policy's inputs are made."""

    robot: Robot
    tokenize: Tokenize
    statistics: Statistics | None  # None: proprioception is taken as it is
    text_length: int
    noise_shape: tuple[int, int]
    noise_seed: int | None
    device: torch.device
    dtype: torch.dtype

    def __call__(self, observations: Sequence[Observation]) -> Inputs:
        """Make a batch."""
        robot = self.robot
        ids = [list(self.tokenize(seen.instruction)) for seen in observations]
        seeds = tuple(self._noise_seed(seen) for seen in observations)
        noise = batch_noise(seeds, self.noise_shape, self.device)
        padded = [row + [0] * (self.text_length - len(row)) for row in ids]
        return Inputs(
            images=[self._pictures([o.images[c] for o in observations]) for c in robot.cameras],
            picture=self._pictures([robot.picture(seen) for seen in observations]),
            proprio=self._tensor(np.stack([self._state(seen) for seen in observations])),
            noise=noise,
            token_ids=torch.tensor(padded).to(self.device),
            lengths=tuple(len(row) for row in ids),
            noise_seeds=seeds,
            own_seeds=tuple(seen.noise_seed for seen in observations),
            committed=self._committed(observations, noise),
        )

    def commands(
        self, actions: Tensor, observations: Sequence[Observation]
    ) -> list[NDArray[np.float64]]:
        """Commands [H, dim] in the suite's convention of normalised actions [B, H, >= dim]."""
        chunks = actions.float().cpu().numpy()[..., : self.robot.action.dim]
        return [
            self.robot.command(self._physical(chunk), self.robot.state(seen.proprio))
            for chunk, seen in zip(chunks, observations, strict=True)
        ]

    def _committed(self, observations: Sequence[Observation], noise: Tensor) -> Committed | None:
        if all(seen.committed is None for seen in observations):
            return None
        actions, mask = torch.zeros_like(noise), torch.zeros_like(noise, dtype=torch.bool)
        for row, seen in enumerate(observations):
            if seen.committed is not None:
                chunk = self.robot.intended(seen.committed, self.robot.state(seen.proprio))
                if self.statistics is not None:
                    chunk = self.statistics.action.normalise(chunk, self.robot.scaling)
                rows, dims = chunk.shape
                actions[row, :rows, :dims] = torch.from_numpy(chunk).to(noise)
                mask[row, :rows, :dims] = True
        return Committed(actions, mask, noise)

    def _pictures(self, arrays: Sequence[NDArray[np.uint8]]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(self.device).movedim(-1, 1)

    def _tensor(self, array: NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(array).to(self.device).to(self.dtype)

    def _state(self, seen: Observation) -> NDArray[np.floating]:
        for name, numbers in seen.proprio.items():
            if not np.isfinite(numbers).all():  # it would come out as actions that are no numbers
                raise PolicyFault(f"{name} has {numbers[~np.isfinite(numbers)][0]}")
        state = self.robot.state(seen.proprio)
        if self.statistics is None:
            return state
        return self.statistics.state.normalise(state, self.robot.scaling)

    def _physical(self, chunk: NDArray[np.float32]) -> NDArray[np.float64]:
        if self.statistics is not None:
            chunk = self.statistics.action.denormalise(chunk, self.robot.scaling)
        return chunk.astype(np.float64)

    def _noise_seed(self, seen: Observation) -> int:
        return seen.noise_seed if self.noise_seed is None else self.noise_seed


def batch_noise(seeds: Sequence[int], shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Float32 noise [B, *shape], one generator per sample."""
    return torch.cat([seeded_noise(seed, (1, *shape)) for seed in seeds]).to(device)


def signed(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Pixels [...] of 0..255 as [-1, 1], computed in ``dtype`` as the WAMs' code does."""
    return (pixels.to(dtype) / 255.0) * 2.0 - 1.0
