"""What all nano models are given and must give, and how pixels are their tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.core.labels import Picture, View, Watch, in_one_picture
from baselines.nano.config import SIDE, NanoConfig
from wambench.attention import Attention
from wambench.inference import Program


@dataclass(frozen=True)
class Seen:
    """Observations of a batch; all float tensors in the model's dtype."""

    images: Tensor  # [B, cameras, 3, side, side] in [-1, 1]
    proprio: Tensor  # [B, 8], normalised
    word_ids: Tensor  # [B, text_length], padded with 0
    lengths: tuple[int, ...]  # words of each sample


@dataclass(frozen=True)
class Lesson:
    """A batch to learn from."""

    seen: Seen
    actions: Tensor  # [B, H, 7], normalised
    action_is_pad: Tensor  # bool [B, H]
    future: Tensor  # [B, K, cameras, 3, side, side] in [-1, 1]
    future_is_pad: Tensor  # bool [B, K]


@dataclass(frozen=True)
class Losses:
    """Scalars; ``video`` is 0 for models that predict no image."""

    total: Tensor
    action: Tensor
    video: Tensor


class NanoModel(nn.Module, ABC):
    """A family's published class at nano size, fed with pixels and words."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def losses(self, lesson: Lesson, generator: torch.Generator, draws: int = 1) -> Losses:
        """The family's training loss; all randomness from ``generator`` (on the CPU).

        ``draws``: noisy actions of every sample that a flow learns from, over one and the same
        prefix, which costs far more than they do. Nothing in a regression is random.
        """

    @abstractmethod
    def state(self, seen: Seen, noise: Tensor, seeds: tuple[int, ...]) -> Any:
        """The family's state for one inference.

        Args:
            seen: the observations.
            noise: [B, H, 7], what a flow starts from.
            seeds: of further noise, one per sample.
        """

    @abstractmethod
    def program(self) -> Program[Any]:
        """The stages of one inference; the result is ``state.action`` [B, H, 7]."""

    @abstractmethod
    def view(self, cameras: Sequence[str]) -> View:
        """Its image tokens, given the cameras in the order of ``Seen.images``."""

    @abstractmethod
    def attention(
        self, view: View, words: Callable[[str], Sequence[str]], watch: Watch
    ) -> Attention:
        """What its action tokens read."""

    def cache(self, state: Any) -> Sequence[Tensor]:
        """Keys and values in a finished state that later steps read again."""
        return ()

    def fit(self, frames: Tensor) -> None:
        """Compute what is computed from training frames [N, 3, h, w] before training begins."""
        return None

    def imagined(self, state: Any) -> Tensor | None:
        """Frames [B, K, 3, side, cameras * side] in about [-1, 1] that the model expects to see.

        Of the inference whose program has run over ``state``, which stays as it is; None from a
        model that predicts no image.
        """
        return None


def mosaic(images: Tensor) -> Tensor:
    """Cameras side by side: [..., cameras, 3, side, side] to [..., 3, side, cameras * side]."""
    return torch.cat(images.unbind(dim=-4), dim=-1)


def mosaic_view(cameras: Sequence[str], grid: tuple[int, int]) -> View:
    """What the tokens show into whose rows and columns a model cuts a :func:`mosaic`."""

    def drawn(images: list[Picture]) -> Picture:
        return mosaic(torch.from_numpy(np.stack(images)).movedim(-1, -3)).movedim(-3, -1).numpy()

    return in_one_picture(drawn, cameras, (SIDE, SIDE), *grid)
