"""ImageWAM's training loss on Ovis-U1: goal image and action in one pass."""

from __future__ import annotations

import torch

from baselines.core.attention import KV, KVCache, repeated
from baselines.core.flow import TRAIN_TIMESTEPS
from baselines.imagewam.loss import Batch, Draws, Loss, noisy, weighed
from baselines.imagewam.ovis_u1.blocks import Masks
from baselines.imagewam.ovis_u1.model import OvisU1WAM
from baselines.imagewam.ovis_u1.packing import (
    SOURCE_AXIS_0,
    TARGET_AXIS_0,
    pack_context,
    valid_context,
)
from baselines.imagewam.packing import readable


def loss(model: OvisU1WAM, batch: Batch, draws: Draws, *, prefix_at_zero: bool = False) -> Loss:
    """Weighted velocity errors of goal image and action, each at a time of its own.

    Args:
        model: to be trained.
        batch: samples; ``text`` are features of the language model over prompt and picture.
        draws: their randomness.
        prefix_at_zero: In the released training text and source image are modulated with the
            goal image's random time, where inference uses 0 (False). True mends the mismatch: the
            action learns from the very prefix of inference.
    """
    given, editor = noisy(batch, draws, model.config.shift), model.editor
    context = pack_context(batch.text, model.proprio_encoder(batch.proprio))
    valid = valid_context(batch.lengths, context.shape[1], context.device)
    count = batch.source.shape[1]
    refined = editor.refine(context, valid)
    vec = editor.vector(refined, given.target_time / TRAIN_TIMESTEPS)
    if prefix_at_zero:
        cache = model.cache(refined, batch.source, readable(valid, count), skip_dead=True)
        masks = Masks(readable(valid, 2 * count), None)
        rope = model.rope(None, TARGET_AXIS_0)
        _, hidden = editor(None, given.target, vec, rope, masks, past=cache)
    else:
        cache, hidden = editor(
            refined.tokens,
            torch.cat([batch.source, given.target], dim=1),
            vec,
            model.rope(refined.tokens, SOURCE_AXIS_0, TARGET_AXIS_0),
            model.masks(refined.tokens, valid, count),
        )
        cache = _without_goal(cache, count)
    target_velocity = editor.predict(hidden[:, -count:], vec)
    mask = readable(valid, count + given.action.shape[1])
    action_velocity = model.expert(
        given.action,
        given.action_time / TRAIN_TIMESTEPS,
        repeated(cache, given.times),
        Masks(None if mask is None else mask.repeat_interleave(given.times, dim=0), None),
    )
    return weighed(batch, draws, given, target_velocity, action_velocity, model.config.shift)


def _without_goal(cache: KVCache, count: int) -> KVCache:
    """All but the last ``count`` tokens, as views."""
    return [KV(kv.k[:, :-count], kv.v[:, :-count]) for kv in cache]
