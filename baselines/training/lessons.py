"""Batches of demonstrations as tensors: normalised, in words, shifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from baselines.core.checkpoints.statistics import Kind, Statistics
from baselines.core.inputs import signed
from baselines.nano.config import TEXT_LENGTH
from baselines.nano.models.base import Lesson, Seen
from baselines.nano.vocabulary import Vocabulary
from baselines.training.augment import shifted
from baselines.training.data.chunks import Batch
from baselines.training.data.episodes import Episode

SAMPLED_FRAMES = 2_000
SCALING: Kind = "min_max"  # as the released WAMs on LIBERO


@dataclass(frozen=True)
class Teacher:
    """Turns batches into lessons on the model's device."""

    statistics: Statistics
    vocabulary: Vocabulary
    instructions: Sequence[str]
    device: torch.device

    def lesson(self, batch: Batch, shift: int, generator: torch.Generator) -> Lesson:
        """Make a lesson; ``shift`` pixels at most, 0 for validation."""
        frames = np.concatenate([batch["images"][:, None], batch["future"]], axis=1)
        moved = shifted(torch.from_numpy(frames).movedim(-1, -3), shift, generator)
        pictures = signed(moved.to(self.device), torch.float32)
        ids = [list(self.vocabulary(self.instructions[i])) for i in batch["instruction"]]
        seen = Seen(
            images=pictures[:, 0],
            proprio=self._tensor(self.statistics.state.normalise(batch["state"], SCALING)),
            word_ids=padded(ids).to(self.device),
            lengths=tuple(len(row) for row in ids),
        )
        return Lesson(
            seen=seen,
            actions=self._tensor(self.statistics.action.normalise(batch["actions"], SCALING)),
            action_is_pad=torch.from_numpy(batch["action_is_pad"]).to(self.device),
            future=pictures[:, 1:],
            future_is_pad=torch.from_numpy(batch["future_is_pad"]).to(self.device),
        )

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, torch.float32)


def sample_frames(episodes: Sequence[Episode]) -> Tensor:
    """About ``SAMPLED_FRAMES`` frames [N, 3, h, w] in [-1, 1], of all episodes and cameras."""
    total = sum(len(frames) for episode in episodes for frames in episode.images.values())
    stride = max(1, total // SAMPLED_FRAMES)
    chosen = [frames[::stride] for episode in episodes for frames in episode.images.values()]
    return signed(torch.from_numpy(np.concatenate(chosen)).movedim(-1, -3), torch.float32)


def padded(ids: Sequence[Sequence[int]]) -> Tensor:
    """Word ids [B, TEXT_LENGTH], cut or padded with 0."""
    rows = [list(row)[:TEXT_LENGTH] for row in ids]
    return torch.tensor([row + [0] * (TEXT_LENGTH - len(row)) for row in rows])
