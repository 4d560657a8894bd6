"""What plain, joint and idm inference are made of: one method per kind of step."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.core.attention import KVCache, joined
from baselines.core.flow import FlowSchedule
from baselines.core.reading import reading
from baselines.videowam import components
from baselines.videowam.blocks import Rope, Time, embed_time, read_text
from baselines.videowam.config import FastWamConfig, Options
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
from baselines.videowam.reading import calls
from baselines.videowam.state import State
from wambench.inference import Step


@dataclass(frozen=True)
class Parts:
    """The steps over one model; ``options`` decide what they keep and what they repeat."""

    model: FastWam
    options: Options

    @property
    def config(self) -> FastWamConfig:
        """Sizes of the model."""
        return self.model.config

    @functools.cached_property
    def action_schedule(self) -> FlowSchedule:
        """Flow steps of the action (in joint also of the video)."""
        return FlowSchedule(self.config.steps, self.config.shift)

    @functools.cached_property
    def video_schedule(self) -> FlowSchedule:
        """Flow steps of idm's video."""
        return FlowSchedule(self.config.video_steps or self.config.steps, self.config.shift)

    def first_steps(self, with_clip: bool) -> list[Step[State]]:
        """What all modes begin with: instruction, observation, and text caches if wanted."""
        once = self.options.cache_text
        steps: list[Step[State]] = [
            Step("text", self.read_instruction, once_per_instruction=once),
            Step("vision", functools.partial(self.observe, with_clip=with_clip)),
        ]
        if not self.options.recompute_text:
            steps.append(Step("prefill", self.prefill_text))
        return steps

    def action_steps(self) -> list[Step[State]]:
        """All flow steps of the action."""
        return [self.act_step(index) for index in range(self.action_schedule.steps)]

    def act_step(self, index: int) -> Step[State]:
        """One flow step of the action."""
        return Step("act", functools.partial(self.act, index=index))

    def read_instruction(self, state: State) -> None:
        """Encode the text and zero its pads."""
        features = state.text_features
        if features is None:
            features = components.encode_text(self.model, state.text_ids, state.text_valid)
        if state.text_valid is not None:
            features = features * state.text_valid[..., None].to(features.dtype)
        state.text = features

    def observe(self, state: State, with_clip: bool) -> None:
        """Encode image and proprioception, lay out the tokens, set up the noise."""
        if state.first_frame is None:
            state.first_frame = components.encode_image(self.model, state.image)
        proprio = self.model.proprio_encoder(state.proprio)[:, None]
        state.context = torch.cat([state.text, proprio], dim=1)
        if state.text_mask is not None:
            seen = torch.cat([state.text_mask, torch.ones_like(state.text_mask[:, :1])], dim=1)
            state.cross_mask = seen[:, None, None, :]
        state.video = state.first_frame
        if with_clip:
            assert state.noise_video is not None, "joint and idm start from noise_video"
            state.video = torch.cat([state.first_frame, state.noise_video[:, :, 1:]], dim=2)
        state.action = state.noise_action
        device, head_dim = state.video.device, self.config.head_dim
        state.grid = video_grid(self.model.video, state.video)
        state.clip_mask = first_frame_mask(state.grid, device) if with_clip else None
        state.video_rope = video_rope(state.grid, head_dim, device)
        state.action_rope = action_rope(state.action.shape[1], head_dim, device)

    def prefill_text(self, state: State) -> None:
        """Cross-attention keys and values of both experts, for all their passes."""
        state.video_text = read_text(self.model.video, state.context)
        state.action_text = read_text(self.model.action, state.context)

    def prefill_first_frame(self, state: State) -> None:
        """Keys and values of the clean first frame at timestep 0."""
        count = state.grid.frame_tokens
        assert state.first_frame is not None
        time = self._time(state.first_frame.new_zeros(1, 1), (count,))
        rope = (state.video_rope[0][:count], state.video_rope[1][:count])
        _, state.first_frame_kv = run_video(
            self.model.video,
            state.first_frame,
            time,
            rope,
            Sight(self._video_text(state), text_mask=state.cross_mask),
            stop_at_keys=self.options.skip_dead_block,
        )
        state.video_kv = state.first_frame_kv

    def prefill_clip(self, state: State) -> None:
        """Keys and values of the finished clip at timestep 0."""
        zero = state.video.new_zeros(1)
        _, _, own = self._run_clip(state, zero, stop_at_keys=self.options.skip_dead_block)
        state.video_kv = self._whole_clip(state, own)

    def imagine(self, state: State, index: int, schedule: FlowSchedule, keep: bool) -> None:
        """One flow step of the video; ``keep`` its keys and values for the action to read."""
        t = schedule.time(index, state.video[:1])
        x, time, own = self._run_clip(state, t)
        if keep:
            state.video_kv = self._whole_clip(state, own)
        self._move_video(state, x, time, index, schedule)

    def _move_video(
        self, state: State, x: Tensor, time: Time, index: int, schedule: FlowSchedule
    ) -> None:
        ran = state.grid._replace(frames=x.shape[1] // state.grid.frame_tokens)
        state.velocity_video = video_velocity(self.model.video, x, time, ran)
        later = state.video[:, :, 1:]
        velocity = state.velocity_video[:, :, -later.shape[2] :]
        later = schedule.step(later, velocity, index)
        state.video = torch.cat([state.video[:, :, :1], later], dim=2)  # the first frame is pinned

    def act(self, state: State, index: int) -> None:
        """One flow step of the action, reading ``video_kv``."""
        t = self.action_schedule.time(index, state.action[:1])
        sight = Sight(self._action_text(state), past=state.video_kv, text_mask=state.cross_mask)
        with self._reading(state, index):
            velocity = action_velocity(self.model.action, state.action, t, state.action_rope, sight)
        self._move_action(state, velocity, index)

    def _reading(
        self, state: State, index: int, video_queries: int | None = None
    ) -> AbstractContextManager[None]:
        """Tell what a pass reads; see :func:`~.reading.calls`."""
        frames, text = state.grid.frames, state.context.shape[1] - 1
        told = functools.partial(calls, self.config, frames, text, video_queries=video_queries)
        return reading(state.reader, index, told)

    def _move_action(self, state: State, velocity: Tensor, index: int) -> None:
        state.velocity_action = velocity
        state.action = self.action_schedule.step(state.action, velocity, index, state.committed)

    def decode(self, state: State) -> None:
        """Pictures of the imagined clip."""
        state.frames = components.decode_video(self.model, state.video)

    def _run_clip(
        self, state: State, t: Tensor, stop_at_keys: bool = False
    ) -> tuple[Tensor, Time, KVCache]:
        latents, time, rope, sight = self._clip(state, t)
        x, own = run_video(self.model.video, latents, time, rope, sight, stop_at_keys)
        return x, time, own

    def _clip(self, state: State, t: Tensor) -> tuple[Tensor, Time, Rope, Sight]:
        """The clip with its later frames at ``t`` [1], less the first frame if that is kept."""
        first, total = state.grid.frame_tokens, state.grid.frames * state.grid.frame_tokens
        text = self._video_text(state)
        if state.first_frame_kv is None:
            latents, rope = state.video, state.video_rope
            time = self._time(torch.stack([torch.zeros_like(t), t], dim=1), (first, total - first))
            sight = Sight(text, mask=state.clip_mask, text_mask=state.cross_mask)
        else:
            latents = state.video[:, :, 1:]
            rope = (state.video_rope[0][first:], state.video_rope[1][first:])
            time = self._time(t[:, None], (total - first,))
            sight = Sight(text, past=state.first_frame_kv, text_mask=state.cross_mask)
        return latents, time, rope, sight

    def _whole_clip(self, state: State, own: KVCache) -> KVCache:
        return own if state.first_frame_kv is None else joined([state.first_frame_kv, own])

    def _time(self, times: Tensor, counts: tuple[int, ...]) -> Time:
        embedder = self.model.video.condition_embedder
        return embed_time(embedder, times, counts, self.options.time_per_token)

    def _action_text(self, state: State) -> KVCache:
        return state.action_text or read_text(self.model.action, state.context)

    def _video_text(self, state: State) -> KVCache:
        return state.video_text or read_text(self.model.video, state.context)
