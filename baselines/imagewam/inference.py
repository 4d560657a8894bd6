"""ImageWAM's inference as stages: text, vision, one prefill of the editor, N steps of the expert.

The released code never denoises an image for the sake of an action: neither text nor source image
nor action may look at the target, so the cache is exact without it. ``imagine_steps`` adds the
edit that the paper's abstract speaks of, and decodes it. It costs what it costs and leaves the
action as it is.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from baselines.core.flow import TRAIN_TIMESTEPS, FlowSchedule
from baselines.core.reading import reading
from baselines.imagewam.config import Options
from baselines.imagewam.editor import modulate, predict, run_editor
from baselines.imagewam.model import ImageWAM, State
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
from baselines.imagewam.reading import calls
from wambench.inference import Program, Step


def program(model: ImageWAM, options: Options, imagine_steps: int = 0) -> Program[State]:
    """The steps of one inference.

    Args:
        model: on any device, meta included.
        options: what to compute beyond need.
        imagine_steps: denoise a goal image in so many steps, and decode it; 0: do not.
    """
    run = _Inference(model, options)
    schedule = FlowSchedule(model.config.steps, model.config.shift)
    imagining = FlowSchedule(max(imagine_steps, 1), model.config.shift)
    steps: list[Step[State]] = [
        Step("text", run.text, once_per_instruction=options.cache_text),
        Step("vision", run.vision),
        Step("prefill", run.prefill),
    ]
    for index in range(imagine_steps):
        steps.append(Step("imagine", functools.partial(run.imagine, imagining, index)))
    for index in range(schedule.steps):
        steps.append(Step("act", functools.partial(run.act, schedule, index)))
    if imagine_steps:
        steps.append(Step("decode", run.decode))
    return Program(steps)


class _Inference:
    """The stages of one model under one set of options."""

    def __init__(self, model: ImageWAM, options: Options) -> None:
        self.model, self.options = model, options

    def text(self, state: State) -> None:
        """Encode the instruction (or take given features) at the length that is kept."""
        keep = None if self.options.pad_text else max(state.lengths)
        if state.token_ids is None:
            assert state.text is not None, "either token_ids or text must be given"
            state.text = state.text[:, :keep]
            return
        assert self.model.text_encoder is not None
        ids = state.token_ids[:, :keep]
        mask = valid_mask(state.lengths, ids.shape[1], ids.device)
        state.text = self.model.text_encoder(ids, mask, all_layers=self.options.all_text_layers)

    def vision(self, state: State) -> None:
        """Encode the current image."""
        if state.image is not None:
            assert self.model.image_encoder is not None
            state.tokens = self.model.image_encoder.encode(state.image)

    def prefill(self, state: State) -> None:
        """Run the editor once over [text, proprioception, image] at timestep 0, for its cache."""
        assert state.text is not None and state.tokens is not None
        proprio = self.model.proprio_encoder(state.proprio)
        state.context = pack_context(state.text, state.lengths, proprio)
        positions = torch.cat(self._prefix_positions(state.context))
        time = state.context.new_zeros(len(state.lengths))
        mask = readable(self._context_mask(state), state.tokens.shape[1])
        state.cache, _, _ = run_editor(
            self.model.editor,
            state.context,
            state.tokens,
            positions,
            modulate(self.model.editor, time),
            mask,
            skip_dead=not self.options.dead_block,
        )

    def imagine(self, schedule: FlowSchedule, index: int, state: State) -> None:
        """One denoising step of the goal image."""
        assert state.context is not None and state.tokens is not None
        if index == 0:
            assert state.target_noise is not None
            state.target = state.target_noise
        assert state.target is not None
        count = state.target.shape[1]
        context, source = self._prefix_positions(state.context)
        target = image_positions(self.model.config.token_grid, TARGET_AXIS_0, state.target)
        mask = editing_mask(self._context_mask(state), count, count, state.context)
        modulation = modulate(self.model.editor, self._time(schedule, index, state.target))
        _, _, hidden = run_editor(
            self.model.editor,
            state.context,
            torch.cat([state.tokens, state.target], dim=1),
            torch.cat([context, source, target]),
            modulation,
            mask,
        )
        velocity = predict(self.model.editor, hidden[:, -count:], modulation.time)
        state.target = schedule.step(state.target, velocity, index)

    def act(self, schedule: FlowSchedule, index: int, state: State) -> None:
        """One flow step of the action."""
        if index == 0:
            state.action, state.velocities = state.noise, []
        assert state.action is not None
        assert state.tokens is not None and state.context is not None
        others = state.tokens.shape[1] + state.action.shape[1]
        mask = readable(self._context_mask(state), others)
        time = self._time(schedule, index, state.action)
        told = functools.partial(calls, self.model.config, state.context.shape[1] - 1)
        with reading(state.reader, index, told):
            velocity = self.model.expert(state.action, time, state.cache, mask)
        state.velocities.append(velocity)
        state.action = schedule.step(state.action, velocity, index)

    def decode(self, state: State) -> None:
        """Turn the imagined tokens into an image."""
        assert self.model.image_encoder is not None and state.target is not None
        grid = self.model.config.token_grid
        state.target_image = self.model.image_encoder.decode(state.target, grid)

    def _prefix_positions(self, context: Tensor) -> tuple[Tensor, Tensor]:
        grid = self.model.config.token_grid
        return (
            context_positions(context.shape[1], context),
            image_positions(grid, SOURCE_AXIS_0, context),
        )

    @staticmethod
    def _context_mask(state: State) -> Tensor | None:
        assert state.context is not None
        counts = [length + 1 for length in state.lengths]  # and proprioception
        return valid_mask(counts, state.context.shape[1], state.context.device)

    @staticmethod
    def _time(schedule: FlowSchedule, index: int, like: Tensor) -> Tensor:
        """Timestep [B] in 0..1, rounded as the model's dtype does."""
        return schedule.time(index, like) / TRAIN_TIMESTEPS
