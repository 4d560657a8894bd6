"""Inference of SmolVLA in stages: text, vision, prefill, and one act per Euler step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from baselines.core.flow import TRAIN_TIMESTEPS, Committed, FlowSchedule
from baselines.core.labels import Reader
from baselines.core.reading import reading
from baselines.vla.pi0 import gemma
from baselines.vla.pi0.prefix import Prefix, visible_tokens
from baselines.vla.smolvla.config import Options
from baselines.vla.smolvla.expert import crossed, run_expert
from baselines.vla.smolvla.modules import SmolVLA
from baselines.vla.smolvla.reading import calls
from wambench.inference import Program, Step


@dataclass
class State:
    """One batch on its way through the program.

    Attributes:
        images: [B, cameras, 3, H, W] in [-1, 1], float32.
        token_ids: [B, text_length], padded on the right.
        lengths: real tokens of every sample.
        noise: [B, horizon, action_dim], float32, and so are the actions.
        state: normalised robot state [B, state_dim].
        reader: is told what the actions read.
        committed: actions that the chunk has to begin with.
        text: embedded text [B, T, width], padded to the longest of the batch, as released.
        vision: image tokens [B, cameras * tokens, width].
        prefix: keys and values of images, text and state.
        velocity: of the last step [B, horizon, action_dim].
        action: after the last step the normalised actions [B, horizon, action_dim].
    """

    images: Tensor
    token_ids: Tensor
    lengths: tuple[int, ...]
    noise: Tensor
    state: Tensor
    reader: Reader | None = None
    committed: Committed | None = None
    text: Tensor = field(init=False)
    vision: Tensor = field(init=False)
    prefix: Prefix = field(init=False)
    velocity: Tensor = field(init=False)
    action: Tensor = field(init=False)


def program(model: SmolVLA, options: Options) -> Program[State]:
    """The steps of one inference; ``state.action`` holds the result."""
    steps: list[Step[State]] = [
        Step("text", partial(embed_text, model), once_per_instruction=True),
        Step("vision", partial(encode_images, model)),
        Step("prefill", partial(prefill, model, options)),
    ]
    schedule = FlowSchedule(model.config.steps)
    for index in range(model.config.steps):
        steps.append(Step("act", _act(model, options, schedule, index)))
    return Program(steps)


def embed_text(model: SmolVLA, state: State) -> None:
    """Stage text: a table look-up."""
    state.text = model.text_tokens(state.token_ids[:, : max(state.lengths)])


def encode_images(model: SmolVLA, state: State) -> None:
    """Stage vision: all images of the batch at once."""
    encoded = model.image_tokens(state.images.flatten(0, 1))
    state.vision = encoded.unflatten(0, state.images.shape[:2]).flatten(1, 2)


def prefill(model: SmolVLA, options: Options, state: State) -> None:
    """Stage prefill: images and text see each other, and the state behind them sees all."""
    config, count = model.config, state.text.shape[1]
    x = torch.cat([state.vision, state.text, model.state_token(state.state)], dim=1)
    cameras = (True,) * state.images.shape[1]
    told = visible_tokens(cameras, config.vision.tokens, state.lengths, count, x.device)
    real = torch.cat([told, told.new_ones(len(told), 1)], dim=1)
    mask = real[:, None, None].repeat(1, 1, x.shape[1], 1)
    mask[:, :, :-1, -1] = False
    table = gemma.rope(real.cumsum(dim=1) - 1, config.head_dim)
    cache = gemma.prefill(model.language, x, table, mask, options.skip_dead_block)
    if options.cross_once:
        cache = crossed(model.expert, cache)
    full = min(state.lengths) == count
    state.prefix = Prefix(cache, None if full and options.drop_full_masks else real)


def _act(
    model: SmolVLA, options: Options, schedule: FlowSchedule, index: int
) -> Callable[[State], None]:
    """One Euler step."""

    def run(state: State) -> None:
        x = state.action if index else state.noise
        time = schedule.time(index, x.float()) / TRAIN_TIMESTEPS
        told = partial(calls, model.config, state.text.shape[1])
        with reading(state.reader, index, told):
            h = model.suffix(x, time)
            h = run_expert(model.expert, h, state.prefix, is_crossed=options.cross_once)
        state.velocity = model.embeddings.action_out_proj(h).to(x.dtype)
        state.action = schedule.step(x, state.velocity, index, state.committed)

    return run
