"""FastWAM at nano size, in its three modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from baselines.core.inputs import batch_noise
from baselines.core.labels import View, Watch
from baselines.nano.codec import PatchCodec
from baselines.nano.config import LATENT_CHANNELS, WORDS, NanoConfig, architecture_of
from baselines.nano.models.base import Lesson, Losses, NanoModel, Seen, mosaic, mosaic_view
from baselines.videowam.config import BEST_EXACT, Mode
from baselines.videowam.loss import Batch, draw, loss
from baselines.videowam.modes import PROGRAMS
from baselines.videowam.modules import FastWam
from baselines.videowam.reading import attention
from baselines.videowam.state import State
from wambench.attention import Attention
from wambench.inference import Program, Step


@dataclass
class Clip(State):
    """A video model's state, in which another future may be ``given``: [B, C, F - 1, h, w]."""

    given: Tensor | None = field(init=False, repr=False, default=None)


class NanoFastWam(NanoModel):
    """A square of pixels is a latent pixel, rows of a word table are text features."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__(config)
        assert config.mode is not None
        self.mode = config.mode
        self.wam = FastWam(architecture_of(config))
        self.words = nn.Embedding(WORDS, self.wam.config.text_dim)
        self.codec = PatchCodec(config.patch, LATENT_CHANNELS)

    def losses(self, lesson: Lesson, generator: torch.Generator, draws: int = 1) -> Losses:
        """Flow matching of video and action."""
        frames = torch.cat([lesson.seen.images[:, None], lesson.future], dim=1)
        latents = self.codec.encode(mosaic(frames)).transpose(1, 2)
        first = torch.zeros_like(lesson.future_is_pad[:, :1])
        text, _ = self._text(lesson.seen)
        batch = Batch(
            latents=latents,
            action=lesson.actions,
            proprio=lesson.seen.proprio,
            context=text,
            image_is_pad=torch.cat([first, lesson.future_is_pad], dim=1),
            action_is_pad=lesson.action_is_pad,
        )
        found = loss(
            self.wam,
            batch,
            draw(batch, self.mode, self.wam.config.shift, generator, draws),
            self.mode,
        )
        return Losses(found.total, found.action, found.video)

    def state(self, seen: Seen, noise: Tensor, seeds: tuple[int, ...]) -> Clip:
        """The video model's state."""
        text, valid = self._text(seen)
        shape = self.wam.config.latent_shape
        return Clip(
            proprio=seen.proprio,
            noise_action=noise,
            noise_video=batch_noise(seeds, shape, noise.device).to(noise.dtype),
            image=mosaic(seen.images),
            text_features=text,
            text_valid=valid,
        )

    def program(self) -> Program[Any]:
        """The mode's stages."""
        return self._program(self.mode)

    def view(self, cameras: Sequence[str]) -> View:
        """Tokens of the picture of all cameras."""
        return mosaic_view(cameras, self.wam.config.token_grid)

    def attention(
        self, view: View, words: Callable[[str], Sequence[str]], watch: Watch
    ) -> Attention:
        """The family's."""
        return attention(self.wam.config, self.mode, view, words, watch)

    def cache(self, state: State) -> Sequence[Tensor]:
        """The video's and the text's."""
        return state.kept()

    def imagined(self, state: State) -> Tensor:
        """The frames after the present one; plain acts without them but imagines as idm does."""
        if self.mode == "plain":
            state = self._program("idm").run(replace(state))
        return self.codec.decode(state.video[:, :, 1:].transpose(1, 2))

    def fit(self, frames: Tensor) -> None:
        """Compute the autoencoder."""
        self.codec.fit(frames)

    def _program(self, mode: Mode) -> Program[State]:
        def see(observe: Step[State], state: State) -> None:
            assert state.image is not None
            state.first_frame = self.codec.encode(state.image)[:, :, None]
            observe.run(state)

        steps = PROGRAMS[mode](self.wam, BEST_EXACT).steps
        return Program(
            [Step("vision", partial(see, s)) if s.stage == "vision" else s for s in steps]
        )

    def _text(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Features [B, L, D], zero where there is no word, and where there is one."""
        position = torch.arange(seen.word_ids.shape[1], device=seen.word_ids.device)
        limit = torch.tensor(seen.lengths, device=seen.word_ids.device)
        valid = position[None] < limit[:, None]
        return self.words(seen.word_ids) * valid[..., None], valid
