"""ImageWAM at nano size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.core.attention import tensors
from baselines.core.inputs import batch_noise
from baselines.core.labels import View, Watch
from baselines.imagewam.flux2.config import BEST_EXACT
from baselines.imagewam.flux2.loss import loss
from baselines.imagewam.flux2.model import Flux2WAM
from baselines.imagewam.inference import program
from baselines.imagewam.loss import Batch, Draws
from baselines.imagewam.model import State
from baselines.imagewam.reading import attention
from baselines.nano.codec import PatchCodec
from baselines.nano.config import (
    LATENT_CHANNELS,
    STEPS,
    WORDS,
    NanoConfig,
    architecture_of,
)
from baselines.nano.models.base import Lesson, Losses, NanoModel, Seen, mosaic, mosaic_view
from baselines.nano.models.goal import GoalWAM, goal_loss
from wambench.attention import Attention
from wambench.inference import Program, StageName, Step


@dataclass
class Edit(State):
    """An editor's state, in which another goal image may be ``given``: [B, N, C]."""

    given: Tensor | None = None


class NanoImageWAM(NanoModel):
    """Latents of squares of pixels are the editor's tokens, rows of a word table its text."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__(config)
        sizes = architecture_of(config)
        self.wam = GoalWAM(sizes, config.reads) if config.reads else Flux2WAM(sizes)
        self.words = nn.Embedding(WORDS, self.wam.config.text_features)
        self.codec = PatchCodec(config.patch, LATENT_CHANNELS)

    def losses(self, lesson: Lesson, generator: torch.Generator, draws: int = 1) -> Losses:
        """Flow matching of goal image and action; the action reads the prefix as at inference."""
        batch = Batch(
            text=self.words(lesson.seen.word_ids),
            lengths=lesson.seen.lengths,
            source=self._tokens(mosaic(lesson.seen.images)),
            target=self._tokens(mosaic(lesson.future[:, 0])),
            proprio=lesson.seen.proprio,
            action=lesson.actions,
            action_is_pad=lesson.action_is_pad,
        )
        reads_goal = self.config.reads is not None
        drawn = Draws.sample(batch, generator, draws, condition=reads_goal)
        if isinstance(self.wam, GoalWAM):
            found = goal_loss(self.wam, batch, drawn)
        else:
            found = loss(self.wam, batch, drawn, prefix_at_zero=True)
        return Losses(found.total, found.action, found.video)

    def state(self, seen: Seen, noise: Tensor, seeds: tuple[int, ...]) -> Edit:
        """The editor's state; a goal image is imagined only if the program is asked to."""
        config = self.wam.config
        shape = (config.image_tokens, config.image_channels)
        return Edit(
            proprio=seen.proprio,
            noise=noise,
            lengths=seen.lengths,
            text=self.words(seen.word_ids),
            image=mosaic(seen.images),
            target_noise=batch_noise(seeds, shape, noise.device).to(noise.dtype),
        )

    def program(self, imagine_steps: int = 0) -> Program[Any]:
        """Text, vision, prefill, act; between the last two the goal, where an action reads it."""
        own: dict[StageName, list[Step[State]]] = {
            "vision": [Step("vision", self._see)],
            "decode": [],
        }
        steps = list(program(self.wam, BEST_EXACT, imagine_steps).steps)
        steps = [one for step in steps for one in own.get(step.stage, [step])]
        if isinstance(self.wam, GoalWAM):
            behind = [step.stage for step in steps].index("prefill") + 1
            steps[behind:behind] = self.wam.goal_steps()
        return Program(steps)

    def view(self, cameras: Sequence[str]) -> View:
        """Tokens of the picture of all cameras."""
        return mosaic_view(cameras, self.wam.config.token_grid)

    def attention(
        self, view: View, words: Callable[[str], Sequence[str]], watch: Watch
    ) -> Attention:
        """The family's."""
        config = self.wam.config
        frames = int(isinstance(self.wam, GoalWAM))
        return attention(config, view, words, watch, heads=config.heads, frames=frames)

    def cache(self, state: Any) -> Sequence[Tensor]:
        """The editor's."""
        return tensors(state.cache)

    def imagined(self, state: State) -> Tensor:
        """The goal image, which acting leaves out or denoises half a step."""
        state = self.program(STEPS).run(replace(state, reader=None))
        assert state.target is not None
        grid = self.wam.config.token_grid
        return self.codec.decode(state.target.transpose(1, 2).unflatten(2, grid))[:, None]

    def fit(self, frames: Tensor) -> None:
        """Compute the autoencoder."""
        self.codec.fit(frames)

    def _see(self, state: State) -> None:
        assert state.image is not None
        state.tokens = self._tokens(state.image)

    def _tokens(self, image: Tensor) -> Tensor:
        """[B, 3, h, w] to [B, tokens, channels], row by row."""
        return self.codec.encode(image).flatten(2).transpose(1, 2)
