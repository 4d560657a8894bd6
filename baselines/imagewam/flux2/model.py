"""ImageWAM on FLUX.2: how its stages run the editor."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from baselines.core.attention import KVCache
from baselines.core.flow import TRAIN_TIMESTEPS
from baselines.core.reading import Calls
from baselines.imagewam.flux2.config import Flux2Config, Options
from baselines.imagewam.flux2.editor import make_editor, modulate, predict, run_editor
from baselines.imagewam.flux2.expert import ActionExpert
from baselines.imagewam.flux2.packing import (
    SOURCE_AXIS_0,
    TARGET_AXIS_0,
    context_positions,
    image_positions,
)
from baselines.imagewam.flux2.reading import calls
from baselines.imagewam.flux2.text import TextFeatures
from baselines.imagewam.flux2.vae import ImageTokens
from baselines.imagewam.model import ImageWAM, State
from baselines.imagewam.packing import editing_mask, pack_context, readable, valid_mask


class Flux2WAM(ImageWAM):
    """VAE and text encoder are absent if the configuration has none."""

    config: Flux2Config

    def __init__(self, config: Flux2Config) -> None:
        super().__init__(config)
        self.editor = make_editor(config)
        self.expert = ActionExpert(config)
        self.proprio_encoder = nn.Linear(config.proprio_dim, config.text_features)
        self.image_encoder = ImageTokens(config.vae) if config.vae else None
        self.text_encoder = TextFeatures(config.text) if config.text else None

    def read_text(self, state: State, options: Options) -> Tensor:
        """Three hidden states of Qwen3, at the length that is kept."""
        keep = None if options.pad_text else max(state.lengths)
        if state.token_ids is None:
            assert state.text is not None
            return state.text[:, :keep]
        assert self.text_encoder is not None
        ids = state.token_ids[:, :keep]
        mask = valid_mask(state.lengths, ids.shape[1], ids.device)
        return self.text_encoder(ids, mask, all_layers=options.all_text_layers)

    def see(self, state: State) -> Tensor:
        """Latents of the image, their mean; nothing is sampled."""
        assert self.image_encoder is not None and state.image is not None
        return self.image_encoder.encode(state.image)

    def prefill(self, state: State, options: Options) -> None:
        """Run the editor once over [text, proprioception, image] at timestep 0."""
        assert state.text is not None and state.tokens is not None
        proprio = self.proprio_encoder(state.proprio)
        context = pack_context(state.text, state.lengths, proprio)
        counts = [length + 1 for length in state.lengths]  # and proprioception
        valid = valid_mask(counts, context.shape[1], context.device)
        mask = readable(valid, state.tokens.shape[1])
        state.context = context
        state.cache = self.cache(context, state.tokens, mask, skip_dead=not options.dead_block)
        state.cached = None if mask is None else mask[:, 0, 0]

    def cache(
        self, context: Tensor, source: Tensor, mask: Tensor | None, *, skip_dead: bool
    ) -> KVCache:
        """Keys and values of [context, source] at timestep 0, of all layers.

        Args:
            context: [B, L, text_features].
            source: [B, N, C].
            mask: bool [B, 1, 1, L + N], True: may be read; None: all may.
            skip_dead: leave out what only the hidden states after the last block need.
        """
        positions = torch.cat(self.positions(context)[:2])
        time = modulate(self.editor, context.new_zeros(len(context)))
        return run_editor(self.editor, context, source, positions, time, mask, skip_dead=skip_dead)[
            0
        ]

    def edit(self, state: State, timestep: Tensor) -> Tensor:
        """One pass over [text, proprioception, image, goal]; only the goal reads the goal."""
        assert state.context is not None and state.tokens is not None and state.target is not None
        count, context = state.target.shape[1], state.context
        length = context.shape[1]
        valid = None if state.cached is None else state.cached[:, :length]
        modulation = modulate(self.editor, timestep / TRAIN_TIMESTEPS)
        _, _, hidden = run_editor(
            self.editor,
            context,
            torch.cat([state.tokens, state.target], dim=1),
            torch.cat(self.positions(context)),
            modulation,
            editing_mask(valid, count, count, context),
        )
        return predict(self.editor, hidden[:, -count:], modulation.time)

    def act(self, state: State, timestep: Tensor) -> Tensor:
        """One pass of the expert."""
        assert state.action is not None
        mask = None if state.cached is None else readable(state.cached, state.action.shape[1])
        return self.expert(state.action, timestep / TRAIN_TIMESTEPS, state.cache, mask)

    def decode(self, tokens: Tensor) -> Tensor:
        """FLUX.2's decoder."""
        assert self.image_encoder is not None
        return self.image_encoder.decode(tokens, self.config.token_grid)

    def calls(self, state: State) -> Calls:
        """One softmax of each layer."""
        assert state.context is not None
        return functools.partial(calls, self.config, state.context.shape[1] - 1)

    def positions(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of text with proprioception, current image and goal image, in the model's dtype."""
        grid = self.config.token_grid
        return (
            context_positions(context.shape[1], context),
            image_positions(grid, SOURCE_AXIS_0, context),
            image_positions(grid, TARGET_AXIS_0, context),
        )
