"""ImageWAM on Ovis-U1: how its stages run the editor."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.core.flow import TRAIN_TIMESTEPS
from baselines.core.reading import Calls
from baselines.imagewam.model import ImageWAM, State
from baselines.imagewam.ovis_u1.blocks import Masks, Rope
from baselines.imagewam.ovis_u1.condition import Condition
from baselines.imagewam.ovis_u1.config import Options, OvisU1Config
from baselines.imagewam.ovis_u1.editor import Refined, Yak
from baselines.imagewam.ovis_u1.expert import ActionExpert
from baselines.imagewam.ovis_u1.packing import (
    SOURCE_AXIS_0,
    TARGET_AXIS_0,
    image_positions,
    pack_context,
    rope_of,
    text_positions,
    valid_context,
)
from baselines.imagewam.ovis_u1.reading import calls
from baselines.imagewam.ovis_u1.vae import ImageTokens
from baselines.imagewam.packing import editing_mask, readable


class OvisU1WAM(ImageWAM):
    """The vision-language model (``text_encoder``) is absent if the configuration has none."""

    config: OvisU1Config
    editor: Yak

    def __init__(self, config: OvisU1Config) -> None:
        super().__init__(config)
        self.editor = Yak(config)
        self.expert = ActionExpert(config)
        self.proprio_encoder = nn.Linear(config.proprio_dim, config.text_features)
        self.image_encoder = ImageTokens(config.vae)
        self.text_encoder = Condition(config.condition) if config.condition else None

    def read_text(self, state: State, options: Options) -> Tensor:
        """Hidden states of the language model over prompt and picture; given features as they are.

        Picture and marks stand among the features, see :meth:`text_lengths`.
        """
        if state.token_ids is None:
            assert state.text is not None
            return state.text
        assert self.text_encoder is not None and state.image is not None
        keep = None if options.pad_text else max(state.lengths)
        return self.text_encoder(
            state.image,
            state.token_ids[:, :keep],
            state.lengths,
            by_minimum=self.config.by_minimum,
            language_head=options.language_head,
        )

    def text_lengths(self, state: State) -> list[int]:
        """Features of each sample's text that are no padding."""
        extra = 0 if state.token_ids is None else self.config.context_tokens(0)
        return [length + extra for length in state.lengths]

    def see(self, state: State) -> Tensor:
        """Latents of the image, sampled with ``state.latent_noise``, or their mean."""
        assert state.image is not None
        is_sampled = self.config.latents == "sampled"
        if is_sampled and state.latent_noise is None:
            raise ValueError("latent_noise must be given, or latents be mean")
        return self.image_encoder.encode(state.image, state.latent_noise if is_sampled else None)

    def prefill(self, state: State, options: Options) -> None:
        """Run the editor once over [text, proprioception, image] at timestep 0."""
        assert state.text is not None and state.tokens is not None
        state.context = pack_context(state.text, self.proprio_encoder(state.proprio))
        valid = self.valid(state)
        refined = self.editor.refine(state.context, valid)
        mask = readable(valid, state.tokens.shape[1])
        state.cache = self.cache(refined, state.tokens, mask, skip_dead=not options.dead_block)
        state.cached = None if mask is None else mask[:, 0, 0]

    def valid(self, state: State) -> Tensor | None:
        """Which tokens of the context are no padding, bool [B, L]; None: all."""
        assert state.context is not None
        size, device = state.context.shape[1], state.context.device
        return valid_context(self.text_lengths(state), size, device)

    def cache(
        self, refined: Refined, source: Tensor, mask: Tensor | None, *, skip_dead: bool
    ) -> KVCache:
        """Keys and values of [context, source] at timestep 0, of all softmaxes.

        Args:
            refined: the context.
            source: [B, N, C].
            mask: bool [B, 1, 1, L + N], True: may be read; None: all may.
            skip_dead: leave out what only the hidden states after the last block need.
        """
        vec = self.editor.vector(refined, source.new_zeros(len(source)))
        rope = self.rope(refined.tokens, SOURCE_AXIS_0)
        masks = Masks(mask, None)
        return self.editor(refined.tokens, source, vec, rope, masks, skip_dead=skip_dead)[0]

    def edit(self, state: State, timestep: Tensor) -> Tensor:
        """One pass over [text, proprioception, image, goal].

        As released without a mask, so that text and source image read the noisy goal, and the goal
        reads padding; or masked as in training, see ``config.masked_goal``.
        """
        assert state.context is not None and state.tokens is not None and state.target is not None
        count, valid = state.target.shape[1], self.valid(state)
        refined = self.editor.refine(state.context, valid)
        vec = self.editor.vector(refined, timestep / TRAIN_TIMESTEPS)
        _, hidden = self.editor(
            refined.tokens,
            torch.cat([state.tokens, state.target], dim=1),
            vec,
            self.rope(refined.tokens, SOURCE_AXIS_0, TARGET_AXIS_0),
            self.masks(refined.tokens, valid, count)
            if self.config.masked_goal
            else Masks(None, None),
        )
        return self.editor.predict(hidden[:, -count:], vec)

    def act(self, state: State, timestep: Tensor) -> Tensor:
        """One pass of the expert."""
        assert state.action is not None
        joint = None if state.cached is None else readable(state.cached, state.action.shape[1])
        return self.expert(
            state.action, timestep / TRAIN_TIMESTEPS, state.cache, Masks(joint, None)
        )

    def decode(self, tokens: Tensor) -> Tensor:
        """The autoencoder's decoder."""
        return self.image_encoder.decode(tokens, self.config.token_grid)

    def calls(self, state: State) -> Calls:
        """Two softmaxes of each double block, one of each single block."""
        assert state.context is not None
        return functools.partial(calls, self.config, state.context.shape[1] - 1)

    def rope(self, text: Tensor | None, *images: float) -> Rope:
        """Of [text, images]: ``text`` [B, L, hidden] or none, images by their first position."""
        device = self.proprio_encoder.weight.device
        places = [] if text is None else [text_positions(text.shape[1], device)]
        places += [image_positions(self.config.token_grid, first, device) for first in images]
        return rope_of(torch.cat(places), self.config.rope_axes, self.config.rope_theta)

    @staticmethod
    def masks(text: Tensor, valid: Tensor | None, count: int) -> Masks:
        """Of [text, source, goal], ``count`` tokens an image: only the goal reads the goal."""
        return Masks(
            editing_mask(valid, count, count, text), editing_mask(None, count, count, text[:, :0])
        )
