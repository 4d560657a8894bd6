"""Weights that a training begins with, and what they have cost so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from baselines.core.checkpoints.statistics import Statistics
from baselines.nano.config import VERSIONS
from baselines.nano.models.base import NanoModel
from baselines.nano.trained import read_trained
from baselines.nano.vocabulary import Vocabulary
from wambench import UserError

EARLIER = ("command", "data_hash", "weights_hash", "step", "samples", "cpu_seconds")


@dataclass(frozen=True)
class Start:
    """Weights of an earlier training of the same network, perhaps of an earlier version.

    Attributes:
        statistics, vocabulary: what the weights are used to; new data are read through them, so
            that nothing changes its meaning.
        facts: of the weights' file.
    """

    tensors: Mapping[str, Tensor]
    statistics: Statistics
    vocabulary: Vocabulary
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, preset: str) -> Start:
        """Read; UserError if they are another network's.

        Presets that differ in what an action reads, as the two ImageWAMs with a goal, share one.
        """
        trained = read_trained(path)
        own = VERSIONS[trained.config.version][preset]
        if trained.config.architecture != own.architecture:
            raise UserError(
                f"--init {str(path)!r} holds {trained.config.name}, not {preset}; name its own"
            )
        # Files before --init do not tell their samples.
        samples = trained.facts["step"] * trained.recipe["batch_size"]
        facts = {"samples": samples, **trained.facts}
        return cls(trained.tensors, trained.statistics, trained.vocabulary, facts)

    @torch.no_grad()
    def fill(self, model: NanoModel, frames: Callable[[], Tensor]) -> None:
        """Put the weights into a model.

        One of a later version has smaller squares of pixels. Its autoencoder is computed anew from
        ``frames`` [N, 3, h, w]; what reads pixels reads a square as it read its enlargement.
        """
        own = model.state_dict()
        fitting = {k: v for k, v in self.tensors.items() if v.shape == own[k].shape}
        if len(fitting) < len(own):
            model.fit(frames())
        model.load_state_dict(fitting, strict=False)
        for name in own.keys() - fitting.keys():
            if not name.startswith("codec."):
                own[name].copy_(_finer(self.tensors[name], own[name].shape))

    def check_words(self, instructions: Sequence[str]) -> None:
        """Raise UserError if the data have words that the weights never met."""
        unknown = sorted({*Vocabulary.of(instructions).words} - {*self.vocabulary.words})
        if unknown:
            raise UserError(
                f"--init: the weights never met {', '.join(unknown)}, words of the data; leave "
                "--init out, to begin with random weights"
            )

    @property
    def hash(self) -> str:
        """Hash of the weights."""
        return str(self.facts["weights_hash"])

    @property
    def instructions(self) -> Sequence[str]:
        """All that the weights were trained on, sorted."""
        return list(self.facts["instructions"])

    def spent(self, name: str) -> float:
        """Steps, samples or CPU seconds until here, of all trainings that led here."""
        return self.facts[name]

    def history(self) -> Sequence[Mapping[str, Any]]:
        """The trainings that led here, the first one first; for the file of the next."""
        own = {name: self.facts[name] for name in EARLIER}
        return [*self.facts.get("earlier", ()), own]


def _finer(old: Tensor, shape: torch.Size) -> Tensor:
    """A filter [C, 3, h, w] or places [..., n, C] of a grid, for squares of half the side."""
    if len(shape) == 4:
        return 4 * avg_pool2d(old, 2)
    side = math.isqrt(old.shape[-2])
    grid = old.reshape(1, side, side, -1).movedim(-1, 1)
    return interpolate(grid, scale_factor=2, mode="bilinear").movedim(1, -1).reshape(shape)
