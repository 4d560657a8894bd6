"""Weights that a training begins with, and what they have cost so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from baselines.core.checkpoints.statistics import Statistics
from baselines.nano.trained import read_trained
from baselines.nano.vocabulary import Vocabulary
from wambench import UserError

EARLIER = ("command", "data_hash", "weights_hash", "step", "samples", "cpu_seconds")


@dataclass(frozen=True)
class Start:
    """Weights of an earlier training of the same preset.

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
        """Read; UserError if they are another preset's."""
        trained = read_trained(path)
        if trained.config.name != preset:
            raise UserError(
                f"--init {str(path)!r} holds {trained.config.name}, not {preset}; name its own"
            )
        return cls(trained.tensors, trained.statistics, trained.vocabulary, trained.facts)

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
