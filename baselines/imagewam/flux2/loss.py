"""ImageWAM's training loss on FLUX.2: goal image and action in one pass."""

from __future__ import annotations

import torch

from baselines.core.attention import repeated, tokens
from baselines.core.flow import TRAIN_TIMESTEPS
from baselines.imagewam.flux2.editor import modulate, predict, run_editor
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.loss import Batch, Draws, Loss, noisy, weighed
from baselines.imagewam.packing import editing_mask, pack_context, readable, valid_mask


def loss(model: Flux2WAM, batch: Batch, draws: Draws, *, prefix_at_zero: bool = False) -> Loss:
    """Weighted velocity errors of goal image and action, each at a time of its own.

    Args:
        model: to be trained.
        batch: samples.
        draws: their randomness.
        prefix_at_zero: In the released training text and source image are modulated with the
            goal image's random time, where inference uses 0 (False). True mends the mismatch: the
            action learns from the very prefix of inference.
    """
    given = noisy(batch, draws, model.config.shift)
    context = pack_context(batch.text, batch.lengths, model.proprio_encoder(batch.proprio))
    valid = valid_mask([n + 1 for n in batch.lengths], context.shape[1], context.device)
    count, prefix = batch.source.shape[1], context.shape[1] + batch.source.shape[1]
    modulation = modulate(model.editor, given.target_time / TRAIN_TIMESTEPS)
    positions = model.positions(context)
    if prefix_at_zero:
        cache = model.cache(context, batch.source, readable(valid, count), skip_dead=True)
        _, _, hidden = run_editor(
            model.editor,
            context[:, :0],
            given.target,
            positions[2],
            modulation,
            readable(valid, 2 * count),
            past=cache,
        )
    else:
        cache, _, hidden = run_editor(
            model.editor,
            context,
            torch.cat([batch.source, given.target], dim=1),
            torch.cat(positions),
            modulation,
            editing_mask(valid, count, count, context),
        )
    target_velocity = predict(model.editor, hidden[:, -count:], modulation.time)
    mask = readable(valid, count + given.action.shape[1])
    action_velocity = model.expert(
        given.action,
        given.action_time / TRAIN_TIMESTEPS,
        repeated(tokens(cache, 0, prefix), given.times),
        None if mask is None else mask.repeat_interleave(given.times, dim=0),
    )
    return weighed(batch, draws, given, target_velocity, action_velocity, model.config.shift)
