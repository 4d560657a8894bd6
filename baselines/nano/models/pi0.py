"""pi0 at nano size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from baselines.core.attention import tensors
from baselines.core.labels import View, Watch, separate
from baselines.nano.config import NanoConfig, architecture_of
from baselines.nano.models.base import Lesson, Losses, NanoModel, Seen
from baselines.vla.pi0.config import BEST_EXACT
from baselines.vla.pi0.loss import draw, loss
from baselines.vla.pi0.modules import build
from baselines.vla.pi0.program import State, program
from baselines.vla.pi0.reading import attention
from wambench.attention import Attention
from wambench.inference import Program


class NanoPi0(NanoModel):
    """Its own word table and image tower, with larger patches."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__(config)
        self.vla = build(architecture_of(config))

    def losses(self, lesson: Lesson, generator: torch.Generator, draws: int = 1) -> Losses:
        """Flow matching of the action."""
        state = self.state(lesson.seen, torch.empty(0), ())
        drawn = draw(self.vla.config, draws * len(lesson.actions), generator)
        action = loss(self.vla, state, lesson.actions, drawn, lesson.action_is_pad)
        return Losses(action, action, torch.zeros_like(action))

    def state(self, seen: Seen, noise: Tensor, seeds: tuple[int, ...]) -> State:
        """The model's state."""
        return State(
            images=seen.images,
            cameras=(True,) * seen.images.shape[1],
            token_ids=seen.word_ids,
            lengths=seen.lengths,
            noise=noise,
            state=seen.proprio,
        )

    def program(self) -> Program[Any]:
        """Text, vision, prefill, act."""
        return program(self.vla, BEST_EXACT)

    def view(self, cameras: Sequence[str]) -> View:
        """Tokens of each camera."""
        side = self.vla.config.vision.side
        return separate(cameras, side, side)

    def attention(
        self, view: View, words: Callable[[str], Sequence[str]], watch: Watch
    ) -> Attention:
        """The family's."""
        return attention(self.vla.config, view, words, watch)

    def cache(self, state: Any) -> Sequence[Tensor]:
        """The prefix's."""
        return tensors(state.prefix.cache)
