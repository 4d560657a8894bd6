"""ImageWAM's inference as stages: text, vision, one prefill of the editor, N steps of the expert.

The released code never denoises an image for the sake of an action: neither text nor source image
nor action may look at the target, so the cache is exact without it. ``imagine_steps`` adds the
edit that the paper's abstract speaks of, and decodes it. It costs what it costs and leaves the
action as it is.
"""

from __future__ import annotations

import functools
from typing import Any

from baselines.core.flow import FlowSchedule
from baselines.core.reading import reading
from baselines.imagewam.model import ImageWAM, State
from wambench.inference import Program, Step


def program(model: ImageWAM, options: Any, imagine_steps: int = 0) -> Program[State]:
    """The steps of one inference.

    Args:
        model: on any device, meta included.
        options: what to compute beyond need, of the editor's own kind.
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

    def __init__(self, model: ImageWAM, options: Any) -> None:
        self.model, self.options = model, options

    def text(self, state: State) -> None:
        """Encode the instruction (or take given features) at the length that is kept."""
        if state.token_ids is None and state.text is None:
            raise ValueError("either token_ids or text must be given")
        state.text = self.model.read_text(state, self.options)

    def vision(self, state: State) -> None:
        """Encode the current image."""
        if state.image is not None:
            state.tokens = self.model.see(state)

    def prefill(self, state: State) -> None:
        """Run the editor once for its cache."""
        self.model.prefill(state, self.options)

    def imagine(self, schedule: FlowSchedule, index: int, state: State) -> None:
        """One denoising step of the goal image."""
        if index == 0:
            state.target = state.target_noise
        assert state.target is not None
        velocity = self.model.edit(state, schedule.time(index, state.target))
        state.target = schedule.step(state.target, velocity, index)

    def act(self, schedule: FlowSchedule, index: int, state: State) -> None:
        """One flow step of the action."""
        if index == 0:
            state.action, state.velocities = state.noise, []
        assert state.action is not None
        with reading(state.reader, index, self.model.calls(state)):
            velocity = self.model.act(state, schedule.time(index, state.action))
        state.velocities.append(velocity)
        state.action = schedule.step(state.action, velocity, index, state.committed)

    def decode(self, state: State) -> None:
        """Turn the imagined tokens into an image."""
        assert state.target is not None
        state.target_image = self.model.decode(state.target)
