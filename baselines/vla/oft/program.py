"""Inference of an OpenVLA-OFT in stages: text, vision, prefill, act.

The tokens of one sample, B of them in a batch padded at their ends::

    BOS | camera 1 | camera 2 | proprio | prompt without BOS | placeholders (zeros) | stop

``prefill`` only lays out this sequence. All of it goes through the language model in ``act``,
because a bidirectional pass cannot be split into an observation and an action (see ``language``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from baselines.core.labels import Reader
from baselines.core.reading import reading
from baselines.vla.oft.config import STOP_TOKEN, OFTConfig, Options
from baselines.vla.oft.language import hidden_states
from baselines.vla.oft.model import OFT
from baselines.vla.oft.reading import calls
from wambench.inference import Program, Step


@dataclass
class State:
    """Inputs of one inference and what its stages leave.

    Attributes:
        images: [B, cameras, 3, H, W] RGB in [0, 1], float32 for any dtype of the model.
        token_ids: [B, L] int64, from BOS to ``LAST_PROMPT_TOKEN``, padded at their ends. Columns
            beyond the longest prompt cost nothing.
        lengths: tokens of each prompt without its padding.
        proprio: [B, proprio_dim], normalised to [-1, 1] by the quantiles q01 and q99.
        reader: is told what the action tokens read.
        text: [B, longest prompt, hidden] after ``text``.
        features: [B, cameras * patches, features] after ``vision``.
        sequence: [B, T, hidden] after ``prefill``.
        action: [B, horizon, action_dim] normalised actions after ``act``.
    """

    images: Tensor
    token_ids: Tensor
    lengths: tuple[int, ...]
    proprio: Tensor
    reader: Reader | None = None
    text: Tensor | None = None
    features: Tensor | None = None
    sequence: Tensor | None = None
    action: Tensor | None = None


def program(model: OFT, options: Options) -> Program[State]:
    """The steps of one inference; the released code handles one sample at a time."""
    config = model.config

    def text(state: State) -> None:
        ids = state.token_ids[:, : max(state.lengths)]
        state.text = model.language_model.model.embed_tokens(ids)

    def vision(state: State) -> None:
        if options.camera_by_camera:
            seen = [_features(model, images, options) for images in state.images.unbind(dim=1)]
            state.features = torch.cat(seen, dim=1)
        else:
            both = _features(model, state.images.flatten(0, 1), options)
            state.features = both.unflatten(0, (-1, config.cameras)).flatten(1, 2)

    def prefill(state: State) -> None:
        assert state.text is not None and state.features is not None
        proprio = model.proprio_projector(state.proprio.to(state.text.dtype))
        observed = torch.cat([model.projector(state.features), proprio[:, None]], dim=1)
        stop = model.language_model.model.embed_tokens.weight[STOP_TOKEN, None]
        state.sequence = _sequence(config, state.text, observed, stop, state.lengths)

    def act(state: State) -> None:
        assert state.sequence is not None
        # As a next token is read off the token before it, so is each action token: the first off
        # the last token of the prompt, and the last placeholder is not read at all.
        starts = [config.observed_tokens + length - 1 for length in state.lengths]

        def read(x: Tensor) -> Tensor:
            parts = [x[i, s : s + config.action_tokens] for i, s in enumerate(starts)]
            return torch.stack(parts)

        mask = _readable(config, state.sequence, state.lengths)
        with reading(state.reader, 0, partial(calls, config, starts[0], options.unread_rows)):
            x = hidden_states(
                model.language_model,
                config.language,
                state.sequence,
                mask,
                None if options.unread_rows else read,
            )
        if options.lm_head:
            model.language_model.lm_head(x)
        chosen = read(x) if options.unread_rows else x
        state.action = model.action_head(chosen.unflatten(1, (config.horizon, -1)).flatten(2))

    return Program(
        [
            Step("text", text, once_per_instruction=options.cache_text),
            Step("vision", vision),
            Step("prefill", prefill),
            Step("act", act),
        ]
    )


def _features(model: OFT, images: Tensor, options: Options) -> Tensor:
    """Features [B, patches, both towers] of images [B, 3, H, W]."""
    towers = (model.dino, model.siglip)
    seen = [tower(images, last_block=options.last_vision_block) for tower in towers]
    return torch.cat(seen, dim=-1)


def _sequence(
    config: OFTConfig, text: Tensor, observed: Tensor, stop: Tensor, lengths: Sequence[int]
) -> Tensor:
    placeholders = text.new_zeros(config.action_tokens, text.shape[-1])
    samples = [
        torch.cat([words[:1], seen, words[1:length], placeholders, stop])
        for words, seen, length in zip(text, observed, lengths, strict=True)
    ]
    return pad_sequence(samples, batch_first=True)


def _readable(config: OFTConfig, sequence: Tensor, lengths: Sequence[int]) -> Tensor | None:
    """Mask [B, 1, 1, T] of what is not padding; None without padding, as in the released code."""
    if len(set(lengths)) == 1:
        return None
    mask = sequence.new_ones(len(lengths), 1, 1, sequence.shape[1], dtype=torch.bool)
    for row, length in enumerate(lengths):
        mask[row, ..., config.observed_tokens + length + config.action_tokens + 1 :] = False
    return mask
