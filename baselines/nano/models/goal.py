"""ImageWAM whose action also reads a goal image: pure noise, or half-denoised, at nano size.

The published variants of this are on OmniGen2 (noise_idm, cache_idm). Here it is the nano track's
own editor, trained by its own recipe: text and source image stay at timestep 0, and the action
learns from the very cache that inference has. cache_idm as released learns from noise at timestep
1000 and is run on a half-denoised goal at 500.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from baselines.core.attention import KVCache, joined, repeated, tokens
from baselines.core.flow import TRAIN_TIMESTEPS
from baselines.core.reading import Calls
from baselines.imagewam.flux2.config import Flux2Config
from baselines.imagewam.flux2.editor import modulate, predict, run_editor
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.flux2.reading import calls
from baselines.imagewam.loss import Batch, Draws, Loss, noisy, weighed
from baselines.imagewam.model import State
from baselines.imagewam.packing import pack_context, readable, valid_mask
from baselines.nano.config import Goal
from wambench.inference import Step

HALF = 0.5  # of the way from noise to image that the only step goes


class GoalWAM(Flux2WAM):
    """Its cache is [text, source] at timestep 0 and then the goal, which reads them."""

    def __init__(self, config: Flux2Config, reads: Goal) -> None:
        super().__init__(config)
        self.reads = reads

    def behind(
        self, prefix: KVCache, cached: Tensor | None, goal: Tensor, time: Tensor, *, keep: bool
    ) -> tuple[KVCache, Tensor]:
        """One pass of the goal over its prefix.

        Args:
            prefix: keys and values of text and source.
            cached: bool [B, P], which of them count; None: all.
            goal: noisy tokens [B, N, C].
            time: [B] in 0..1.
            keep: only keys and values are wanted, and the velocity is empty.

        Returns:
            Keys and values of the goal, and its velocity [B, N, C].
        """
        modulation = modulate(self.editor, time)
        nothing = goal.new_zeros(len(goal), 0, self.config.text_features)
        mask = None if cached is None else readable(cached, goal.shape[1])
        positions = self.positions(nothing)[2]
        cache, _, hidden = run_editor(
            self.editor, nothing, goal, positions, modulation, mask, past=prefix, skip_dead=keep
        )
        return cache, goal[:, :0] if keep else predict(self.editor, hidden, modulation.time)

    def halfway(self, prefix: KVCache, cached: Tensor | None, noise: Tensor) -> Tensor:
        """Half a step from noise [B, N, C] towards the image."""
        time = noise.new_ones(len(noise))
        return noise - (1 - HALF) * self.behind(prefix, cached, noise, time, keep=False)[1]

    def shown(self, prefix: KVCache, cached: Tensor | None, goal: Tensor) -> KVCache:
        """Keys and values of the goal as the action reads it."""
        time = goal.new_full((len(goal),), HALF if self.reads == "half_denoised" else 1.0)
        return self.behind(prefix, cached, goal, time, keep=True)[0]

    def edit(self, state: State, timestep: Tensor) -> Tensor:
        """One pass of the goal over its prefix, as in training."""
        assert state.target is not None
        length = self._prefix(state)
        cached = None if state.cached is None else state.cached[:, :length]
        prefix = tokens(state.cache, 0, length)
        return self.behind(prefix, cached, state.target, timestep / TRAIN_TIMESTEPS, keep=False)[1]

    def calls(self, state: State) -> Calls:
        """One softmax of each layer, over a goal too."""
        assert state.context is not None
        return functools.partial(calls, self.config, state.context.shape[1] - 1, goal=True)

    def _prefix(self, state: State) -> int:
        """Tokens of text with proprioception and source."""
        assert state.context is not None and state.tokens is not None
        return state.context.shape[1] + state.tokens.shape[1]

    def goal_steps(self) -> list[Step[State]]:
        """What stands between prefill and the action: half a step, if any, and the goal's cache."""
        half = [Step("imagine", self._halve)] if self.reads == "half_denoised" else []
        return [*half, Step("prefill", self._show)]

    def _halve(self, state: State) -> None:
        assert state.target_noise is not None
        state.target = self.halfway(state.cache, state.cached, state.target_noise)

    def _show(self, state: State) -> None:
        goal = state.target if self.reads == "half_denoised" else state.target_noise
        assert goal is not None
        state.cache = joined([state.cache, self.shown(state.cache, state.cached, goal)])
        if state.cached is not None:
            state.cached = _and(state.cached, goal.shape[1])


def goal_loss(model: GoalWAM, batch: Batch, draws: Draws) -> Loss:
    """Weighted velocity errors; the action reads the goal of inference (of ``condition_noise``).

    No gradient flows through the half step, whose result is data to the pass that reads it.
    """
    assert draws.condition_noise is not None
    given = noisy(batch, draws, model.config.shift)
    context = pack_context(batch.text, batch.lengths, model.proprio_encoder(batch.proprio))
    valid = valid_mask([n + 1 for n in batch.lengths], context.shape[1], context.device)
    count = batch.source.shape[1]
    prefix = model.cache(context, batch.source, readable(valid, count), skip_dead=True)
    cached = None if valid is None else _and(valid, count)
    time = given.target_time / TRAIN_TIMESTEPS
    _, target_velocity = model.behind(prefix, cached, given.target, time, keep=False)

    goal = draws.condition_noise
    if model.reads == "half_denoised":
        with torch.no_grad():
            goal = model.halfway(prefix, cached, goal)
    cache = joined([prefix, model.shown(prefix, cached, goal)])
    mask = None if cached is None else readable(cached, count + given.action.shape[1])
    action_velocity = model.expert(
        given.action,
        given.action_time / TRAIN_TIMESTEPS,
        repeated(cache, given.times),
        None if mask is None else mask.repeat_interleave(given.times, dim=0),
    )
    return weighed(batch, draws, given, target_velocity, action_velocity, model.config.shift)


def _and(valid: Tensor, others: int) -> Tensor:
    """The same with so many valid tokens behind."""
    return torch.cat([valid, valid.new_ones(valid.shape[0], others)], dim=1)
