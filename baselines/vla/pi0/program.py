"""Inference of pi0 and pi0.5 in stages: text, vision, prefill, and one act per Euler step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from baselines.core.attention import KVCache, tokens
from baselines.core.flow import TRAIN_TIMESTEPS, Committed, FlowSchedule
from baselines.core.labels import Reader
from baselines.core.reading import reading
from baselines.vla.pi0 import gemma
from baselines.vla.pi0.config import Options
from baselines.vla.pi0.gemma import Modulations, normed, rope, run_expert
from baselines.vla.pi0.modules import Pi
from baselines.vla.pi0.prefix import Prefix, visible_tokens
from baselines.vla.pi0.reading import calls
from baselines.vla.pi0.vision import image_tokens
from wambench.inference import Program, Step


@dataclass
class State:
    """One batch on its way through the program.

    Attributes:
        images: [B, slots, 3, H, W] in [-1, 1].
        cameras: per slot, whether there is a camera; the image of an absent one is not read.
        token_ids: [B, text_length], padded on the right.
        lengths: real tokens of every sample.
        noise: [B, horizon, action_dim]. Its dtype is that of the actions: float32 whatever the
            model's dtype, as in openpi.
        state: normalised robot state [B, state_dim]; pi0.5 does not read it.
        reader: is told what the actions read.
        committed: actions that the chunk has to begin with.
        text: embedded text [B, T, width].
        vision: image tokens [B, images * tokens, width].
        prefix: keys and values of images and text.
        modulations: of the expert's norms, for all steps; written with ``modulate_once`` only.
        velocity: of the last step [B, horizon, action_dim].
        action: after the last step the normalised actions [B, horizon, action_dim].
    """

    images: Tensor
    cameras: tuple[bool, ...]
    token_ids: Tensor
    lengths: tuple[int, ...]
    noise: Tensor
    state: Tensor
    reader: Reader | None = None
    committed: Committed | None = None
    text: Tensor = field(init=False)
    vision: Tensor = field(init=False)
    prefix: Prefix = field(init=False)
    modulations: Modulations = field(init=False)
    velocity: Tensor = field(init=False)
    action: Tensor = field(init=False)


def program(model: Pi, options: Options) -> Program[State]:
    """The steps of one inference; ``state.action`` holds the result."""
    read_only_instruction = not model.config.state_in_text
    steps: list[Step[State]] = [
        Step("text", partial(embed_text, model, options), read_only_instruction),
        Step("vision", partial(encode_images, model, options)),
        Step("prefill", partial(prefill, model, options)),
    ]
    schedule = FlowSchedule(model.config.steps)
    for index in range(model.config.steps):
        steps.append(Step("act", _act(model, options, schedule, index)))
    return Program(steps)


def embed_text(model: Pi, options: Options, state: State) -> None:
    """Stage text: a table look-up."""
    ids = state.token_ids
    if options.trim_text:
        ids = ids[:, : max(state.lengths)]
    state.text = model.text_tokens(ids)


def encode_images(model: Pi, options: Options, state: State) -> None:
    """Stage vision: all images of the batch at once."""
    images = state.images
    slots = _slots(options, state)
    if len(slots) < len(state.cameras):
        images = torch.stack([images[:, slot] for slot in slots], dim=1)
    encoded = image_tokens(model.model.vlm, images.flatten(0, 1))
    state.vision = encoded.unflatten(0, images.shape[:2]).flatten(1, 2)


def prefill(model: Pi, options: Options, state: State) -> None:
    """Stage prefill: the language model over images and text, all of which see each other."""
    cameras = [state.cameras[slot] for slot in _slots(options, state)]
    count = state.text.shape[1]
    x = torch.cat([state.vision, state.text], dim=1)
    real = visible_tokens(cameras, model.config.vision.tokens, state.lengths, count, x.device)
    full = all(cameras) and min(state.lengths) == count
    visible = None if full and options.drop_full_masks else real
    mask = None if visible is None else visible[:, None, None]
    table = rope(real.cumsum(dim=1) - 1, model.config.head_dim)
    language = model.model.vlm.language_model
    cache = gemma.prefill(language, x, table, mask, options.skip_dead_block)
    state.prefix = Prefix(cache, visible)


def _slots(options: Options, state: State) -> list[int]:
    """The camera slots that are computed."""
    return [
        slot
        for slot, present in enumerate(state.cameras)
        if present or not options.skip_absent_cameras
    ]


def velocity(
    model: Pi, prefix: Prefix, suffix: Tensor, modulations: Modulations
) -> tuple[Tensor, KVCache]:
    """The expert over the prefix's cache.

    Args:
        model: the policy.
        prefix: of the same samples.
        suffix: [B, T, expert_width]; all but the last ``horizon`` tokens see no action.
        modulations: of the expert's norms.

    Returns:
        Velocities [B, horizon, action_dim], and the suffix's own keys and values.
    """
    count = suffix.shape[1]
    lead = count - model.config.horizon
    table = rope(prefix.positions(count), model.config.head_dim)
    mask = prefix.mask(count, lead)
    expert = model.model.dit
    x, own = run_expert(expert, suffix, table, prefix.cache, mask, modulations)
    x, _ = normed(expert.norm, x[:, lead:], modulations[-1])
    return model.action_out_proj(x), own


def _act(
    model: Pi, options: Options, schedule: FlowSchedule, index: int
) -> Callable[[State], None]:
    """One Euler step."""
    first = index == 0

    def run(state: State) -> None:
        x = state.noise if first else state.action
        time = schedule.time(index, x.float()) / TRAIN_TIMESTEPS

        token = state.state if first or not options.state_once else None
        suffix = model.suffix(x, time, token)
        lead = suffix.shape[1] - model.config.horizon

        if options.modulate_once:
            if first:
                every = [schedule.time(i, x[:1].float()) for i in range(schedule.steps)]
                state.modulations = model.modulations(torch.cat(every) / TRAIN_TIMESTEPS)
            now = [None if m is None else m[index : index + 1] for m in state.modulations]
        else:
            now = list(model.modulations(time))

        slots = [state.cameras[slot] for slot in _slots(options, state)]
        told = partial(calls, model.config, slots, state.text.shape[1], lead)
        with reading(state.reader, index, told):
            result, own = velocity(model, state.prefix, suffix, now)
        if options.state_once and lead:
            state.prefix = state.prefix.extended(tokens(own, 0, lead))
        state.velocity = result.to(x.dtype)
        state.action = schedule.step(x, state.velocity, index, state.committed)

    return run
