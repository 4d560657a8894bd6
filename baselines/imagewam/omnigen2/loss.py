"""ImageWAM's training losses on OmniGen2."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from baselines.core.attention import repeated
from baselines.core.flow import TRAIN_TIMESTEPS
from baselines.imagewam.loss import Batch, Draws, Loss, noisy, weighed
from baselines.imagewam.omnigen2.editor import Pass
from baselines.imagewam.omnigen2.model import OmniGen2WAM
from baselines.imagewam.omnigen2.packing import packed
from baselines.imagewam.omnigen2.vae import tokens_of
from baselines.imagewam.packing import valid_mask

Part = Literal["both", "image", "action"]
Schedule = Literal["joint", "alternate_micro"]


def loss(model: OmniGen2WAM, batch: Batch, draws: Draws, *, part: Part = "both") -> Loss:
    """Weighted velocity errors of goal image and action, each at a time of its own.

    An action that reads nothing of the goal learns in the image's own pass, and so from text and
    source modulated with the image's random time, where inference uses 0. One that reads a noisy
    goal learns in a pass of its own, at timestep 1000 and from fresh noise (``condition_noise``),
    also where inference takes a half-denoised goal at 500, as released.

    Args:
        model: to be trained. Proprioception stands behind the last word, wherever inference has it.
        batch: samples.
        draws: their randomness.
        part: of a model with two passes, see :func:`part_of`; the other loss is then 0.
    """
    given = noisy(batch, draws, model.config.shift)
    context = packed(batch.text, batch.lengths, model.proprio_encoder(batch.proprio))
    count, target = batch.source.shape[1], draws.target_noise - batch.target
    action = draws.action_noise - batch.action.repeat_interleave(given.times, dim=0)
    done = None
    if part != "action":
        done = model.editor(context, batch.source, given.target, given.target_time)
        target = model.editor.predict(done, count, given.target.shape[1])
    if model.config.reads == "prefix":
        if done is None:
            raise ValueError("image and action share a pass here; part must be 'both'")
        action = _action(model, done, count, given.action, given.action_time)
    elif part != "image":
        assert draws.condition_noise is not None
        time = torch.full_like(given.target_time, TRAIN_TIMESTEPS)
        done = model.editor(context, batch.source, draws.condition_noise, time, skip_dead=True)
        images = count + draws.condition_noise.shape[1]
        action = _action(model, done, images, given.action, given.action_time)
    return weighed(batch, draws, given, target, action, model.config.shift)


def part_of(micro_step: int, schedule: Schedule) -> Part:
    """What a micro-batch trains: both, or pictures on even and actions on odd ones."""
    if schedule == "joint":
        return "both"
    return "action" if micro_step % 2 else "image"


def _action(
    model: OmniGen2WAM, done: Pass, images: int, action: Tensor, timestep: Tensor
) -> Tensor:
    """Velocity of actions that read text and so many image tokens of a pass."""
    times, size = len(action) // len(done.counts), done.cache[0].k.shape[1]
    valid = valid_mask([count + images for count in done.counts], size, action.device)
    if valid is not None:
        own = valid.new_ones(len(done.counts), action.shape[1])
        valid = torch.cat([valid, own], dim=1).repeat_interleave(times, dim=0)
    return model.expert(action, timestep, repeated(done.cache, times), valid)


def draw(
    model: OmniGen2WAM, like: Tensor, generator: torch.Generator, actions: int = 1
) -> tuple[Tensor, Tensor, Draws]:
    """All randomness of a loss in the order of the released code.

    Args:
        model: whose ``config`` tells the shapes.
        like: actions [B, H, action_dim] of the batch.
        generator: on the CPU.
        actions: noisy actions of every sample; the released training has 1.

    Returns:
        Noise of the goal's latents and of the source's [B, c, h, w], and the rest.
    """
    count, shape = len(like), model.config.latent_shape

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=like.dtype).to(like.device)

    def uniform(size: int) -> Tensor:
        return torch.rand(size, generator=generator).to(like.device)

    of_target, of_source = normal(count, *shape), normal(count, *shape)
    drawn = Draws(
        tokens_of(normal(count, *shape)),
        uniform(count),
        normal(actions * count, *like.shape[1:]),
        uniform(actions * count),
        None if model.config.reads == "prefix" else tokens_of(normal(count, *shape)),
    )
    return of_target, of_source, drawn
