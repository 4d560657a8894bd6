"""Shipped weights: one safetensors file with everything that is needed to run and to judge them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.core.checkpoints.reading import read_checkpoint
from baselines.core.checkpoints.statistics import FIELDS, Spread, Statistics
from baselines.core.checkpoints.writing import write_safetensors
from baselines.nano.config import VERSIONS, NanoConfig
from baselines.nano.vocabulary import Vocabulary
from wambench import UserError

FORMAT = "wambench-nano-1"


@dataclass(frozen=True)
class Trained:
    """What a weights file holds."""

    config: NanoConfig
    recipe: dict[str, Any]  # optimiser, schedule, seed
    statistics: Statistics
    vocabulary: Vocabulary
    facts: dict[str, Any]  # data_hash, command, steps, versions
    tensors: dict[str, Tensor]


def write_trained(path: Path, trained: Trained) -> None:
    """Write atomically, with a content hash."""
    metadata = {
        "format": FORMAT,
        "config": trained.config.model_dump_json(),
        "recipe": json.dumps(trained.recipe, sort_keys=True),
        "statistics": json.dumps(_as_json(trained.statistics)),
        "vocabulary": json.dumps(trained.vocabulary.words),
        "facts": json.dumps(trained.facts, sort_keys=True),
    }
    write_safetensors(path, trained.tensors, metadata)


def read_trained(path: Path) -> Trained:
    """Read and check; UserError for a file that is damaged, foreign or of another preset."""
    file = read_checkpoint(path)
    facts = file.facts
    if facts.get("format") != FORMAT:
        raise UserError(
            f"{str(path)!r} holds no nano weights ({facts.get('format', 'no format')}, not "
            f"{FORMAT}); name a file that 'wambench train' wrote"
        )
    config = NanoConfig.model_validate_json(facts["config"])
    if config != VERSIONS.get(config.version, {}).get(config.name):
        raise UserError(
            f"{str(path)!r} was trained as another {config.name} than this version's; train it "
            "again, or use the version of wambench that wrote it"
        )
    return Trained(
        config=config,
        recipe=json.loads(facts["recipe"]),
        statistics=_statistics(json.loads(facts["statistics"])),
        vocabulary=Vocabulary(json.loads(facts["vocabulary"])),
        facts=json.loads(facts["facts"]),
        tensors={name: tensor.to(torch.float32) for name, tensor in file.tensors.items()},
    )


def _as_json(statistics: Statistics) -> dict[str, dict[str, list[float]]]:
    return {
        part: {name: getattr(spread, name).tolist() for name in FIELDS}
        for part, spread in (("state", statistics.state), ("action", statistics.action))
    }


def _statistics(content: dict[str, dict[str, list[float]]]) -> Statistics:
    state, action = (
        Spread(**{name: np.array(content[part][name]) for name in FIELDS})
        for part in ("state", "action")
    )
    return Statistics(state=state, action=action)
