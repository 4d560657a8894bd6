"""The optimiser of a training: one step over all parameters, at one learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from baselines.training.recipe import Recipe

SMALLEST = 16  # rows and columns of a matrix that is orthogonalised


class Optimiser:
    """AdamW, or Muon for the matrices of hidden layers and AdamW for everything else.

    Muon (K. Jordan, 2024; torch.optim.Muon) makes every update of a matrix nearly orthogonal, with
    updates scaled to AdamW's usual size (Moonlight, 2025), so that both take one learning rate.
    Embeddings, biases, norms and the thin matrices at a model's ends are no hidden layers.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        hidden = [
            parameter
            for name, parameter in model.named_parameters()
            if recipe.optimiser == "muon"
            and parameter.requires_grad
            and _is_hidden(name, parameter)
        ]
        chosen = {id(parameter) for parameter in hidden}
        rest = [parameter for parameter in self._parameters if id(parameter) not in chosen]
        self._clip_norm = recipe.clip_norm
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                rest,
                lr=recipe.learning_rate,
                betas=recipe.betas,
                weight_decay=recipe.weight_decay,
                fused=True,
            )
        ]
        if hidden:
            self._parts.append(
                torch.optim.Muon(
                    hidden,
                    lr=recipe.learning_rate,
                    weight_decay=recipe.weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, loss: torch.Tensor, rate: float) -> float:
        """Go down the gradient of ``loss`` at a learning rate; the gradient's norm, unclipped.

        Where the norm is not finite, nothing changes.
        """
        for part in self._parts:
            part.zero_grad(set_to_none=True)
            for group in part.param_groups:
                group["lr"] = rate
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        if torch.isfinite(norm):
            for part in self._parts:
                part.step()
        return norm.item()

    def state(self) -> list[Mapping[str, Any]]:
        """What it takes to go on; for :meth:`restore`."""
        return [part.state_dict() for part in self._parts]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Go on from a state."""
        for part, own in zip(self._parts, state, strict=True):
            part.load_state_dict(own)


def _is_hidden(name: str, parameter: nn.Parameter) -> bool:
    is_embedding = "embed" in name or "words" in name
    return parameter.ndim == 2 and min(parameter.shape) > SMALLEST and not is_embedding
