"""A training's state on disk: what it takes to go on as if nothing had happened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wambench import UserError


@dataclass
class Ema:
    """Moving average of a model's parameters, warmed up: early averages forget quickly."""

    decay: float
    values: dict[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module, decay: float) -> Ema:
        """Start at the model."""
        return cls(decay, {name: p.detach().clone() for name, p in model.named_parameters()})

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model after optimiser step number ``step``, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        names, parameters = zip(*model.named_parameters(), strict=True)
        torch._foreach_lerp_([self.values[name] for name in names], list(parameters), 1 - decay)


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write atomically: a kill leaves the old state or the new one."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """Read what :func:`write_state` wrote; UserError if it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise UserError(
            f"{str(path)!r} is no training state ({type(error).__name__}); delete it to start anew"
        ) from None
