"""OpenVLA-OFT at nano size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from baselines.core.labels import View, Watch, separate
from baselines.nano.config import NanoConfig, architecture_of
from baselines.nano.models.base import Lesson, Losses, NanoModel, Seen
from baselines.vla.oft.config import BEST_EXACT
from baselines.vla.oft.loss import loss
from baselines.vla.oft.model import OFT
from baselines.vla.oft.program import State, program
from baselines.vla.oft.reading import attention
from wambench.attention import Attention
from wambench.inference import Program


class NanoOft(NanoModel):
    """Its own word table and two image towers, with larger patches."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__(config)
        self.vla = OFT(architecture_of(config))

    def losses(self, lesson: Lesson, generator: torch.Generator, draws: int = 1) -> Losses:
        """Mean absolute error of the chunk; nothing is random."""
        state = self.state(lesson.seen, torch.empty(0), ())
        action = loss(self.vla, state, lesson.actions, lesson.action_is_pad)
        return Losses(action, action, torch.zeros_like(action))

    def state(self, seen: Seen, noise: Tensor, seeds: tuple[int, ...]) -> State:
        """The model's state; a regression needs no noise."""
        return State(
            images=(seen.images + 1) / 2,
            token_ids=seen.word_ids,
            lengths=seen.lengths,
            proprio=seen.proprio,
        )

    def program(self) -> Program[Any]:
        """Text, vision, prefill, act."""
        return program(self.vla, BEST_EXACT)

    def view(self, cameras: Sequence[str]) -> View:
        """Tokens of each camera."""
        return separate(cameras, self.vla.config.side, self.vla.config.side)

    def attention(
        self, view: View, words: Callable[[str], Sequence[str]], watch: Watch
    ) -> Attention:
        """The family's."""
        return attention(self.vla.config, view, words, watch)
