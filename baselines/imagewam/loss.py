"""ImageWAM's training loss: flow matching of the goal image and of the action in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.core.attention import repeated, tokens
from baselines.core.flow import TRAIN_TIMESTEPS, LossWeight, noised, shifted
from baselines.imagewam.editor import modulate, predict, run_editor
from baselines.imagewam.model import ImageWAM
from baselines.imagewam.packing import (
    SOURCE_AXIS_0,
    TARGET_AXIS_0,
    context_positions,
    editing_mask,
    image_positions,
    pack_context,
    readable,
    valid_mask,
)

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

    @classmethod
    def sample(
        cls, batch: Batch, generator: torch.Generator | None = None, actions: int = 1
    ) -> Draws:
        """Draw in the order of the released code: image noise, its time, action noise, its time.

        ``actions``: n; the released training has 1.
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
        )


@dataclass(frozen=True)
class Loss:
    """Scalars; ``total`` is what to minimise."""

    total: Tensor
    video: Tensor  # its share in the total included
    action: Tensor


def loss(model: ImageWAM, batch: Batch, draws: Draws, *, prefix_at_zero: bool = False) -> Loss:
    """Weighted velocity errors of goal image and action, each at a time of its own.

    Args:
        model: to be trained.
        batch: samples.
        draws: their randomness.
        prefix_at_zero: In the released training text and source image are modulated with the
            goal image's random time, where inference uses 0 (False). True mends the mismatch: the
            action learns from the very prefix of inference.
    """
    config = model.config
    dtype = batch.action.dtype
    t_video, t_action = (
        (shifted(u, config.shift) * TRAIN_TIMESTEPS).to(dtype)
        for u in (draws.target_u, draws.action_u)
    )
    noisy_target = noised(batch.target, draws.target_noise, t_video / TRAIN_TIMESTEPS)
    times = len(t_action) // len(t_video)
    action = batch.action.repeat_interleave(times, dim=0)
    noisy_action = noised(action, draws.action_noise, t_action / TRAIN_TIMESTEPS)

    context = pack_context(batch.text, batch.lengths, model.proprio_encoder(batch.proprio))
    valid = valid_mask([n + 1 for n in batch.lengths], context.shape[1], context.device)
    count, prefix = batch.source.shape[1], context.shape[1] + batch.source.shape[1]
    modulation = modulate(model.editor, t_video / TRAIN_TIMESTEPS)
    positions = (
        context_positions(context.shape[1], context),
        image_positions(config.token_grid, SOURCE_AXIS_0, context),
        image_positions(config.token_grid, TARGET_AXIS_0, context),
    )
    if prefix_at_zero:
        cache, _, _ = run_editor(
            model.editor,
            context,
            batch.source,
            torch.cat(positions[:2]),
            modulate(model.editor, torch.zeros_like(t_video)),
            readable(valid, count),
            skip_dead=True,
        )
        _, _, hidden = run_editor(
            model.editor,
            context[:, :0],
            noisy_target,
            positions[2],
            modulation,
            readable(valid, 2 * count),
            past=cache,
        )
    else:
        cache, _, hidden = run_editor(
            model.editor,
            context,
            torch.cat([batch.source, noisy_target], dim=1),
            torch.cat(positions),
            modulation,
            editing_mask(valid, count, count, context),
        )
    video_velocity = predict(model.editor, hidden[:, -count:], modulation.time)
    mask = readable(valid, count + action.shape[1])
    action_velocity = model.expert(
        noisy_action,
        t_action / TRAIN_TIMESTEPS,
        repeated(tokens(cache, 0, prefix), times),
        None if mask is None else mask.repeat_interleave(times, dim=0),
    )

    weight = LossWeight(config.shift)
    video_error = _squared(video_velocity, draws.target_noise - batch.target).mean(dim=(1, 2))
    action_error = _squared(action_velocity, draws.action_noise - action).mean(dim=2)
    kept = (~batch.action_is_pad).float().repeat_interleave(times, dim=0)
    action_error = (action_error * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
    video = VIDEO_SHARE * (weight(t_video) * video_error).mean()
    acting = (weight(t_action) * action_error).mean()
    return Loss(video + acting, video, acting)


def _squared(predicted: Tensor, target: Tensor) -> Tensor:
    return (predicted.float() - target.float()) ** 2
