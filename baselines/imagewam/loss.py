"""ImageWAM's training loss: flow matching of the goal image and of the action in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.core.flow import TRAIN_TIMESTEPS, LossWeight, noised, shifted

VIDEO_SHARE = 0.5  # of the goal image's loss in the total; the action's is 1


@dataclass(frozen=True)
class Batch:
    """Normalised training samples."""

    text: Tensor  # [B, L, text_features]
    lengths: Sequence[int]
    source: Tensor  # [B, N, C], tokens of the current image
    target: Tensor  # [B, N, C], tokens of the image one chunk ahead
    proprio: Tensor  # [B, proprio_dim], at the current step
    action: Tensor  # [B, H, action_dim]
    action_is_pad: Tensor  # bool [B, H], True: beyond the end of the episode


@dataclass(frozen=True)
class Draws:
    """The randomness of one loss; n noisy actions of every sample read one and the same prefix."""

    target_noise: Tensor  # [B, N, C]
    target_u: Tensor  # [B] uniform in [0, 1)
    action_noise: Tensor  # [n * B, H, action_dim], the n of a sample in a row
    action_u: Tensor  # [n * B]
    condition_noise: Tensor | None = None  # [B, N, C], the target where the action reads noise

    @classmethod
    def sample(
        cls,
        batch: Batch,
        generator: torch.Generator | None = None,
        actions: int = 1,
        *,
        condition: bool = False,
    ) -> Draws:
        """Draw in the order of the released code: image noise, its time, action noise, its time.

        Args:
            batch: samples.
            generator: on the CPU.
            actions: n; the released training has 1.
            condition: draw the noise of the condition too, last.
        """
        count = len(batch.lengths)

        def normal(size: tuple[int, ...], like: Tensor) -> Tensor:
            return torch.randn(size, generator=generator, dtype=like.dtype).to(like.device)

        def uniform(size: int) -> Tensor:
            return torch.rand(size, generator=generator).to(batch.action.device)

        return cls(
            normal(batch.target.shape, batch.target),
            uniform(count),
            normal((actions * count, *batch.action.shape[1:]), batch.action),
            uniform(actions * count),
            normal(batch.target.shape, batch.target) if condition else None,
        )


@dataclass(frozen=True)
class Noisy:
    """What the networks see of a batch. Timesteps are in 0..1000."""

    target: Tensor  # [B, N, C]
    target_time: Tensor  # [B]
    action: Tensor  # [n * B, H, action_dim]
    action_time: Tensor  # [n * B]
    times: int  # n


@dataclass(frozen=True)
class Loss:
    """Scalars; ``total`` is what to minimise."""

    total: Tensor
    video: Tensor  # its share in the total included
    action: Tensor


def noisy(batch: Batch, draws: Draws, shift: float) -> Noisy:
    """Mix a batch with its draws, goal image and action each at a time of its own."""
    t_video, t_action = (
        (shifted(u, shift) * TRAIN_TIMESTEPS).to(batch.action.dtype)
        for u in (draws.target_u, draws.action_u)
    )
    times = len(t_action) // len(t_video)
    action = batch.action.repeat_interleave(times, dim=0)
    return Noisy(
        noised(batch.target, draws.target_noise, t_video / TRAIN_TIMESTEPS),
        t_video,
        noised(action, draws.action_noise, t_action / TRAIN_TIMESTEPS),
        t_action,
        times,
    )


def weighed(
    batch: Batch, draws: Draws, given: Noisy, target: Tensor, action: Tensor, shift: float
) -> Loss:
    """Weighted squared errors of the velocities that a model has predicted.

    Args:
        batch: samples.
        draws: their randomness.
        given: what the model saw.
        target: velocity of the goal image [B, N, C].
        action: velocity of the action [n * B, H, action_dim].
        shift: of the flow.
    """
    weight, times = LossWeight(shift), given.times
    clean = batch.action.repeat_interleave(times, dim=0)
    video_error = _squared(target, draws.target_noise - batch.target).mean(dim=(1, 2))
    action_error = _squared(action, draws.action_noise - clean).mean(dim=2)
    kept = (~batch.action_is_pad).float().repeat_interleave(times, dim=0)
    action_error = (action_error * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
    video = VIDEO_SHARE * (weight(given.target_time) * video_error).mean()
    acting = (weight(given.action_time) * action_error).mean()
    return Loss(video + acting, video, acting)


def _squared(predicted: Tensor, target: Tensor) -> Tensor:
    return (predicted.float() - target.float()) ** 2
