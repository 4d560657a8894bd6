"""Golden tensors that were recorded while running the authors' code (``tests/golden``)."""

import functools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(__file__).parent / "golden"


@functools.cache
def golden(family: str, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts (config, scalars) and tensors of one set."""
    facts = json.loads((FOLDER / family / f"{name}.json").read_text())
    return facts, load_file(FOLDER / family / f"{name}.safetensors")


def gap(ours: Tensor, theirs: Tensor) -> float:
    """Largest absolute difference; the shapes must agree."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours.double() - theirs.double()).abs().max())


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Norm of the difference over the norm of the golden."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


def randomised(module: torch.nn.Module, seed: int, gain: float = 1.0) -> torch.nn.Module:
    """Random weights large enough that every part matters: matrices of unit gain, odd norms."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() < 2:
                parameter.copy_(1.0 + 0.2 * noise)
            else:
                parameter.copy_(noise * gain / parameter[0].numel() ** 0.5)
    return module.eval()
