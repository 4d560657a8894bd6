"""Training losses of the three modes, with every random draw explicit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.core.attention import KVCache, tokens
from baselines.core.flow import TRAIN_TIMESTEPS, LossWeight, noised, shifted
from baselines.videowam.blocks import embed_time, read_text
from baselines.videowam.config import Mode
from baselines.videowam.experts import (
    Sight,
    action_rope,
    action_velocity,
    first_frame_mask,
    run_video,
    video_grid,
    video_rope,
    video_velocity,
)
from baselines.videowam.modules import FastWam

CLEAN_CLIPS = 0.5  # of the clips that idm's action reads in training; the others are noised again


@dataclass(frozen=True)
class Batch:
    """Training samples.

    Attributes:
        latents: normalised latents of the clip [B, C, F, h, w].
        action: normalised [B, H, D].
        proprio: normalised, of the first time step [B, proprio_dim].
        context: text features [B, L, text_dim], zero at pads (which stay visible).
        image_is_pad: [B, frames] bool, frames past the episode's end.
        action_is_pad: [B, H] bool.
    """

    latents: Tensor
    action: Tensor
    proprio: Tensor
    context: Tensor
    image_is_pad: Tensor
    action_is_pad: Tensor


@dataclass(frozen=True)
class Clip:
    """How the clip that idm's action reads is noised: samples [B] bool, timesteps [B], noise."""

    noised: Tensor
    t: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Draws:
    """The random numbers of one loss: noises as the data, timesteps [B] in 0..1000.

    ``clip`` is None except in idm, and there too if all clips stay clean.
    """

    noise_video: Tensor
    t_video: Tensor
    noise_action: Tensor
    t_action: Tensor
    clip: Clip | None = None


@dataclass(frozen=True)
class Losses:
    """Scalars: ``total`` is ``video`` plus ``action``."""

    total: Tensor
    video: Tensor
    action: Tensor


def draw(batch: Batch, mode: Mode, shift: float, generator: torch.Generator) -> Draws:
    """Draw in the reference's order; the clip's noise only if any clip gets some."""
    device, count = batch.latents.device, len(batch.latents)

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, device=device, dtype=like.dtype)

    def uniform() -> Tensor:
        return torch.rand(count, generator=generator, device=device)

    def timesteps() -> Tensor:
        return shifted(uniform(), shift) * TRAIN_TIMESTEPS

    noise_video, t_video = noise(batch.latents), timesteps()
    noise_action, t_action = noise(batch.action), timesteps()
    clip = None
    if mode == "idm":
        again = uniform() < 1 - CLEAN_CLIPS
        if again.any():
            clip = Clip(again, timesteps(), noise(batch.latents))
    return Draws(noise_video, t_video, noise_action, t_action, clip)


def loss(model: FastWam, batch: Batch, draws: Draws, mode: Mode) -> Losses:
    """Flow-matching loss of video and action, weighted by their timesteps.

    Per sample the mean squared error of the velocity over what is no padding; the clean first
    frame does not count (reference: ``training_loss`` of the three models).
    """
    weight = LossWeight(model.config.shift)
    context = torch.cat([batch.context, model.proprio_encoder(batch.proprio)[:, None]], dim=1)
    text = read_text(model.video, context)

    clip = _renoised(batch.latents, draws.noise_video, draws.t_video)
    velocity, cache = _video(model, clip, draws.t_video, text)
    assert velocity is not None
    error = _squared_error(velocity, draws.noise_video - batch.latents).mean(dim=(1, 3, 4))
    padded = _padded_latents(batch.image_is_pad, model.config.vae_temporal)
    video = _mean(error[:, 1:], ~padded[:, 1:])

    if mode == "plain":
        cache = tokens(cache, 0, video_grid(model.video, clip).frame_tokens)
    elif mode == "idm":
        clip, t = _clip_to_read(batch.latents, draws.clip)
        _, cache = _video(model, clip, t, text, only_cache=True)
    noisy = noised(batch.action, draws.noise_action, draws.t_action / TRAIN_TIMESTEPS)
    rope = action_rope(noisy.shape[1], model.config.head_dim, noisy.device)
    sight = Sight(read_text(model.action, context), past=cache)
    velocity = action_velocity(model.action, noisy, draws.t_action.to(noisy.dtype), rope, sight)
    error = _squared_error(velocity, draws.noise_action - batch.action).mean(dim=2)
    action = _mean(error, ~batch.action_is_pad)

    video, action = (weight(draws.t_video) * video).mean(), (weight(draws.t_action) * action).mean()
    return Losses(video + action, video, action)


def _video(
    model: FastWam, clip: Tensor, t: Tensor, text: KVCache, only_cache: bool = False
) -> tuple[Tensor | None, KVCache]:
    """Velocity and cache of a clip whose later frames are at ``t`` [B], its first at 0."""
    grid = video_grid(model.video, clip)
    counts = (grid.frame_tokens, (grid.frames - 1) * grid.frame_tokens)
    times = torch.stack([torch.zeros_like(t), t], dim=1).to(clip.dtype)
    time = embed_time(model.video.condition_embedder, times, counts)
    rope = video_rope(grid, model.config.head_dim, clip.device)
    sight = Sight(text, mask=first_frame_mask(grid, clip.device))
    x, cache = run_video(model.video, clip, time, rope, sight, stop_at_keys=only_cache)
    return (None if only_cache else video_velocity(model.video, x, time, grid)), cache


def _renoised(latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Noised latents under their clean first frame."""
    noisy = noised(latents, noise, t / TRAIN_TIMESTEPS)
    return torch.cat([latents[:, :, :1], noisy[:, :, 1:]], dim=2)


def _clip_to_read(latents: Tensor, clip: Clip | None) -> tuple[Tensor, Tensor]:
    """The clip and its timesteps [B] that idm's action reads."""
    if clip is None:
        return latents, latents.new_zeros(len(latents))
    t = torch.where(clip.noised, clip.t, 0.0)  # a clip noised at 0 is the clip
    return _renoised(latents, clip.noise, t), t


def _padded_latents(image_is_pad: Tensor, vae_temporal: int) -> Tensor:
    """[B, F] bool: latent frames of which every image is padding; the first holds one image."""
    later = image_is_pad[:, 1:].unflatten(1, (-1, vae_temporal)).all(dim=2)
    return torch.cat([image_is_pad[:, :1], later], dim=1)


def _squared_error(velocity: Tensor, target: Tensor) -> Tensor:
    return (velocity.float() - target.float()).square()


def _mean(error: Tensor, valid: Tensor) -> Tensor:
    """Mean [B] of errors [B, N] where ``valid``; 0 if nothing is."""
    return (error * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)
