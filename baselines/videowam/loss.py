"""Training losses of the three modes, with every random draw explicit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.core.attention import KVCache, joined, repeated
from baselines.core.flow import TRAIN_TIMESTEPS, LossWeight, noised, shifted
from baselines.videowam.blocks import embed_time, read_text
from baselines.videowam.config import Mode
from baselines.videowam.experts import (
    Sight,
    action_rope,
    action_velocity,
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

    Of the action [n * B, H, D] and [n * B], the n of a sample in a row: all n read one and the
    same video. ``clip`` is None except in idm, and there too if all clips stay clean.
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


def draw(
    batch: Batch, mode: Mode, shift: float, generator: torch.Generator, actions: int = 1
) -> Draws:
    """Draw in the reference's order; the clip's noise only if any clip gets some.

    ``actions``: noisy actions of every sample, n; the reference has 1.
    """
    device, count = batch.latents.device, len(batch.latents)

    def noise(size: tuple[int, ...], like: Tensor) -> Tensor:
        return torch.randn(size, generator=generator, device=device, dtype=like.dtype)

    def uniform(size: int = count) -> Tensor:
        return torch.rand(size, generator=generator, device=device)

    def timesteps(size: int = count) -> Tensor:
        return shifted(uniform(size), shift) * TRAIN_TIMESTEPS

    noise_video, t_video = noise(batch.latents.shape, batch.latents), timesteps()
    several = actions * count
    noise_action = noise((several, *batch.action.shape[1:]), batch.action)
    t_action, clip = timesteps(several), None
    if mode == "idm":
        again = uniform() < 1 - CLEAN_CLIPS
        if again.any():
            clip = Clip(again, timesteps(), noise(batch.latents.shape, batch.latents))
    return Draws(noise_video, t_video, noise_action, t_action, clip)


def loss(model: FastWam, batch: Batch, draws: Draws, mode: Mode) -> Losses:
    """Flow-matching loss of video and action, weighted by their timesteps.

    Per sample the mean squared error of the velocity over what is no padding; the clean first
    frame does not count (reference: ``training_loss`` of the three models).
    """
    weight = LossWeight(model.config.shift)
    context = torch.cat([batch.context, model.proprio_encoder(batch.proprio)[:, None]], dim=1)
    text = read_text(model.video, context)

    first = _first_frame(model, batch.latents, text)
    clip = noised(batch.latents, draws.noise_video, draws.t_video / TRAIN_TIMESTEPS)
    velocity, later = _later_frames(model, clip, draws.t_video, text, first)
    assert velocity is not None
    target = (draws.noise_video - batch.latents)[:, :, 1:]
    error = _squared_error(velocity, target).mean(dim=(1, 3, 4))
    padded = _padded_latents(batch.image_is_pad, model.config.vae_temporal)
    video = _mean(error, ~padded[:, 1:])

    if mode == "idm":
        clip, t = _clip_to_read(batch.latents, draws.clip)
        _, later = _later_frames(model, clip, t, text, first, only_cache=True)
    cache = first if mode == "plain" else joined([first, later])
    times = len(draws.t_action) // len(draws.t_video)
    wanted = batch.action.repeat_interleave(times, dim=0)
    noisy = noised(wanted, draws.noise_action, draws.t_action / TRAIN_TIMESTEPS)
    rope = action_rope(noisy.shape[1], model.config.head_dim, noisy.device)
    sight = Sight(repeated(read_text(model.action, context), times), past=repeated(cache, times))
    velocity = action_velocity(model.action, noisy, draws.t_action.to(noisy.dtype), rope, sight)
    error = _squared_error(velocity, draws.noise_action - wanted).mean(dim=2)
    action = _mean(error, (~batch.action_is_pad).repeat_interleave(times, dim=0))

    video, action = (weight(draws.t_video) * video).mean(), (weight(draws.t_action) * action).mean()
    return Losses(video + action, video, action)


def _first_frame(model: FastWam, latents: Tensor, text: KVCache) -> KVCache:
    """Keys and values of the clean first frame, which reads itself and the text alone."""
    video = model.video
    grid = video_grid(video, latents)._replace(frames=1)
    time = embed_time(
        video.condition_embedder, latents.new_zeros(len(latents), 1), (grid.frame_tokens,)
    )
    rope = video_rope(grid, model.config.head_dim, latents.device)
    frame, sight = latents[:, :, :1], Sight(text)
    return run_video(video, frame, time, rope, sight, stop_at_keys=True)[1]


def _later_frames(
    model: FastWam,
    clip: Tensor,
    t: Tensor,
    text: KVCache,
    first: KVCache,
    only_cache: bool = False,
) -> tuple[Tensor | None, KVCache]:
    """Velocity, keys and values of the frames after the first, which they read, all at ``t`` [B].

    The reference runs all frames in one pass under a mask that keeps the first one from reading
    the others: the same numbers, for a third more work where there are three frames.
    """
    video = model.video
    grid = video_grid(video, clip)
    count = grid.frame_tokens
    later = grid._replace(frames=grid.frames - 1)
    time = embed_time(video.condition_embedder, t.to(clip.dtype)[:, None], (later.frames * count,))
    cosines, sines = video_rope(grid, model.config.head_dim, clip.device)
    rope, sight = (cosines[count:], sines[count:]), Sight(text, past=first)
    x, own = run_video(video, clip[:, :, 1:], time, rope, sight, stop_at_keys=only_cache)
    return (None if only_cache else video_velocity(video, x, time, later)), own


def _clip_to_read(latents: Tensor, clip: Clip | None) -> tuple[Tensor, Tensor]:
    """The clip and its timesteps [B] that idm's action reads."""
    if clip is None:
        return latents, latents.new_zeros(len(latents))
    t = torch.where(clip.noised, clip.t, 0.0)  # a clip noised at 0 is the clip
    return noised(latents, clip.noise, t / TRAIN_TIMESTEPS), t


def _padded_latents(image_is_pad: Tensor, vae_temporal: int) -> Tensor:
    """[B, F] bool: latent frames of which every image is padding; the first holds one image."""
    later = image_is_pad[:, 1:].unflatten(1, (-1, vae_temporal)).all(dim=2)
    return torch.cat([image_is_pad[:, :1], later], dim=1)


def _squared_error(velocity: Tensor, target: Tensor) -> Tensor:
    return (velocity.float() - target.float()).square()


def _mean(error: Tensor, valid: Tensor) -> Tensor:
    """Mean [B] of errors [B, N] where ``valid``; 0 if nothing is."""
    return (error * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)
