"""The future that an action reads, replaced: a program's steps with some that stand for others.

A *future* is what a model's action reads of it, in the model's own numbers: latents of the later
frames [B, C, K, h, w] of a video model, tokens of the goal image [B, N, C] of an editor. The state
holds as ``given`` what is to stand there; None: what the model imagines itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from baselines.core.flow import TRAIN_TIMESTEPS, FlowSchedule, noised
from baselines.nano.models.base import NanoModel, mosaic
from baselines.nano.models.fastwam import NanoFastWam
from baselines.nano.models.goal import HALF, GoalWAM
from baselines.nano.models.imagewam import NanoImageWAM
from wambench.inference import Program, Step

Run = Callable[[Any], None]


class Futures(ABC):
    """How a model's future is taken, made and replaced."""

    @abstractmethod
    def masked(self) -> Program[Any]:
        """The action reads no token of the future; all else is as it was."""

    @abstractmethod
    def replaced(self) -> Program[Any]:
        """The action reads ``state.given`` where that is set."""

    @abstractmethod
    def encoded(self, frames: Tensor) -> Tensor:
        """As a future: frames [B, K, cameras, 3, side, side] in [-1, 1]."""

    @abstractmethod
    def read(self, state: Any) -> Tensor:
        """The future that the action of a finished state read."""

    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of a future, less the batch."""


def futures_of(model: NanoModel) -> Futures:
    """Those of a model whose action reads a future."""
    if isinstance(model, NanoFastWam) and model.mode != "plain":
        return _Joint(model) if model.mode == "joint" else _Idm(model)
    if isinstance(model, NanoImageWAM) and isinstance(model.wam, GoalWAM):
        return _Goal(model, model.wam)
    raise ValueError(f"the action of {model.config.name} reads no future")


class _Clip(Futures):
    """A video model's later frames."""

    def __init__(self, model: NanoFastWam) -> None:
        self.model = model

    def encoded(self, frames: Tensor) -> Tensor:
        return self.model.codec.encode(mosaic(frames)).transpose(1, 2)

    def read(self, state: Any) -> Tensor:
        return state.video[:, :, 1:]

    def shape(self) -> tuple[int, ...]:
        channels, frames, *grid = self.model.wam.config.latent_shape
        return channels, frames - 1, *grid

    @staticmethod
    def _put(state: Any, later: Tensor) -> None:
        state.video = torch.cat([state.video[:, :, :1], later], dim=2)


class _Idm(_Clip):
    """The finished clip is replaced before its keys and values are read."""

    def masked(self) -> Program[Any]:
        # Without the last prefill the action reads what the first left: the present frame.
        return _without_last(self.model.program(), "prefill")

    def replaced(self) -> Program[Any]:
        return _around_last(self.model.program(), "prefill", before=self._replace)

    def _replace(self, state: Any) -> None:
        if state.given is not None:
            self._put(state, state.given)


class _Joint(_Clip):
    """At every step the later frames are the given ones, noised to that step's time."""

    def masked(self) -> Program[Any]:
        def forget(state: Any) -> None:
            state.video_kv = state.first_frame_kv

        return self._around(lambda index: (_nothing, forget))

    def replaced(self) -> Program[Any]:
        config = self.model.wam.config
        schedule = FlowSchedule(config.steps, config.shift)

        def around(index: int) -> tuple[Run, Run]:
            def noise(state: Any) -> None:
                if state.given is not None:
                    sigma = schedule.time(index, state.given) / TRAIN_TIMESTEPS
                    start = state.noise_video[:, :, 1:]
                    self._put(state, noised(state.given, start, sigma))

            def restore(state: Any) -> None:
                if state.given is not None:
                    self._put(state, state.given)

            return noise, restore

        return self._around(around)

    def _around(self, around: Callable[[int], tuple[Run, Run]]) -> Program[Any]:
        """The program with something before and after each step of the video."""
        steps, count = [], 0
        for step in self.model.program().steps:
            if step.stage == "imagine":
                before, after = around(count)
                step, count = _wrapped(step, before, after), count + 1
            steps.append(step)
        return Program(steps)


class _Goal(Futures):
    """An editor's goal image, which the action reads when it is half denoised."""

    def __init__(self, model: NanoImageWAM, wam: GoalWAM) -> None:
        self.model, self.wam = model, wam

    def masked(self) -> Program[Any]:
        # The goal's keys and values are what the last prefill adds to the cache.
        return _without_last(self.model.program(), "prefill")

    def replaced(self) -> Program[Any]:
        return _around_last(self.model.program(), "imagine", after=self._replace)

    def encoded(self, frames: Tensor) -> Tensor:
        return self.model.codec.encode(mosaic(frames[:, -1])).flatten(2).transpose(1, 2)

    def read(self, state: Any) -> Tensor:
        """The half-denoised goal, undone by the noise it started from: an image again."""
        return (state.target - HALF * state.target_noise) / (1 - HALF)

    def shape(self) -> tuple[int, ...]:
        return self.wam.config.image_tokens, self.wam.config.image_channels

    def _replace(self, state: Any) -> None:
        if state.given is not None:
            level = state.given.new_full((len(state.given),), HALF)
            state.target = noised(state.given, state.target_noise, level)


def _nothing(state: Any) -> None:
    return None


def _wrapped(step: Step[Any], before: Run = _nothing, after: Run = _nothing) -> Step[Any]:
    def run(state: Any) -> None:
        before(state)
        step.run(state)
        after(state)

    return replace(step, run=run)


def _without_last(program: Program[Any], stage: str) -> Program[Any]:
    """The program less the last step of a stage."""
    index = _last(program, stage)
    return Program([*program.steps[:index], *program.steps[index + 1 :]])


def _around_last(
    program: Program[Any], stage: str, before: Run = _nothing, after: Run = _nothing
) -> Program[Any]:
    """The program with something before and after the last step of a stage."""
    index = _last(program, stage)
    wrapped = _wrapped(program.steps[index], before, after)
    return Program([*program.steps[:index], wrapped, *program.steps[index + 1 :]])


def _last(program: Program[Any], stage: str) -> int:
    return max(index for index, step in enumerate(program.steps) if step.stage == stage)
