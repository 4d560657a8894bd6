"""ImageWAM on OmniGen2: how its stages run the editor."""

from __future__ import annotations

import functools

from torch import Tensor, nn

from baselines.core.flow import TRAIN_TIMESTEPS
from baselines.core.reading import Calls
from baselines.imagewam.config import Options
from baselines.imagewam.model import ImageWAM, State
from baselines.imagewam.omnigen2.blocks import as_valid
from baselines.imagewam.omnigen2.config import OmniGen2Config
from baselines.imagewam.omnigen2.editor import OmniGen2Editor
from baselines.imagewam.omnigen2.expert import ActionExpert
from baselines.imagewam.omnigen2.packing import Context, appended, packed
from baselines.imagewam.omnigen2.reading import calls
from baselines.imagewam.omnigen2.text import TextFeatures
from baselines.imagewam.omnigen2.vae import ImageTokens
from baselines.imagewam.packing import valid_mask

HALF = 0.5  # of the way from noise to image that cache_idm's only step goes
PREFILL_TIMES = {"prefix": 0.0, "noise": 1.0, "half_denoised": HALF}
"""Where on the way (1: noise) the cache that the action reads is taken."""


class OmniGen2WAM(ImageWAM):
    """VAE and text encoder are absent if the configuration has none."""

    config: OmniGen2Config

    def __init__(self, config: OmniGen2Config) -> None:
        super().__init__(config)
        self.editor = OmniGen2Editor(config)
        self.expert = ActionExpert(config)
        self.proprio_encoder = nn.Linear(config.proprio_dim, config.text_features)
        self.image_encoder = ImageTokens(config.vae) if config.vae else None
        self.text_encoder = TextFeatures(config.text) if config.text else None

    def read_text(self, state: State, options: Options) -> Tensor:
        """Qwen2.5-VL's last hidden state, at the length that is kept."""
        keep = None if options.pad_text else max(self.config.kept_text(state.lengths))
        if state.token_ids is None:
            assert state.text is not None
            return state.text[:, :keep]
        assert self.text_encoder is not None
        ids = state.token_ids[:, :keep]
        return self.text_encoder(ids, valid_mask(state.lengths, ids.shape[1], ids.device))

    def see(self, state: State) -> Tensor:
        """Latents of the image, sampled with the state's noise."""
        assert self.image_encoder is not None and state.image is not None
        if self.config.latents == "sampled" and state.latent_noise is None:
            raise ValueError("latent_noise must be given, or latents be mean")
        noise = state.latent_noise if self.config.latents == "sampled" else None
        return self.image_encoder.encode(state.image, noise)

    def context(self, state: State) -> Context:
        """Text with proprioception where inference puts it."""
        assert state.text is not None
        pack = packed if self.config.proprio_place == "as_trained" else appended
        return pack(state.text, state.lengths, self.proprio_encoder(state.proprio))

    def prefill(self, state: State, options: Options) -> None:
        """Run the editor once, for its cache: without a goal, with noise or a half-denoised one."""
        assert state.tokens is not None
        reads = self.config.reads
        target = {
            "prefix": None, "noise": state.target_noise, "half_denoised": state.target
        }[reads]  # fmt: skip
        assert reads == "prefix" or target is not None
        context = self.context(state)
        time = PREFILL_TIMES[reads] * TRAIN_TIMESTEPS
        done = self.editor(
            context,
            state.tokens,
            target,
            state.tokens.new_full((len(state.lengths),), time),
            skip_dead=not options.dead_block,
        )
        state.context, state.cache = context.tokens, done.cache
        size = done.cache[0].k.shape[1]
        images = size - max(context.counts)
        totals = [count + images for count in context.counts]
        state.cached = valid_mask(totals, size, state.tokens.device)

    def edit(self, state: State, timestep: Tensor) -> Tensor:
        """One pass over [text, image, goal]; only the goal reads the goal."""
        assert state.tokens is not None and state.target is not None
        done = self.editor(self.context(state), state.tokens, state.target, timestep)
        return self.editor.predict(done, state.tokens.shape[1], state.target.shape[1])

    def halve(self, state: State) -> None:
        """cache_idm's step: from noise half of the way to the image, as seen at timestep 1000."""
        assert state.target_noise is not None
        state.target = state.target_noise
        time = state.target.new_full((len(state.lengths),), float(TRAIN_TIMESTEPS))
        state.target = state.target - (1 - HALF) * self.edit(state, time)

    def act(self, state: State, timestep: Tensor) -> Tensor:
        """One pass of the expert."""
        assert state.action is not None
        valid = None if state.cached is None else as_valid(state.cached, state.action.shape[1])
        return self.expert(state.action, timestep, state.cache, valid)

    def decode(self, tokens: Tensor) -> Tensor:
        """FLUX.1's decoder."""
        assert self.image_encoder is not None
        return self.image_encoder.decode(tokens, self.config.token_grid)

    def calls(self, state: State) -> Calls:
        """One softmax of each layer."""
        assert state.text is not None
        return functools.partial(calls, self.config, state.text.shape[1])
