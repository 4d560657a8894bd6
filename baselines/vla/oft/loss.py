"""The training loss: mean absolute error of the chunk. Nothing in it is random."""

from __future__ import annotations

from torch import Tensor

from baselines.vla.oft.config import BEST_EXACT
from baselines.vla.oft.model import OFT
from baselines.vla.oft.program import State, program


def l1_loss(predicted: Tensor, target: Tensor, is_pad: Tensor | None = None) -> Tensor:
    """Mean absolute error over the steps that exist, in float32.

    Args:
        predicted: [B, horizon, dim].
        target: normalised actions, as ``predicted``.
        is_pad: bool [B, horizon], True: this step lies behind the episode's end. None: all exist
            (the released code repeats the last action there and counts it).

    Returns:
        A scalar; 0 if no step exists.
    """
    error = (predicted.float() - target.float()).abs()
    if is_pad is None:
        return error.mean()
    counted = ~is_pad[..., None]
    return (error * counted).sum() / (counted.sum() * error.shape[-1]).clamp(min=1)


def loss(model: OFT, state: State, target: Tensor, is_pad: Tensor | None = None) -> Tensor:
    """Run the program on ``state`` and compare; see :func:`l1_loss`.

    Gradients reach every parameter but those that no action depends on: the last block of both
    towers and the LM head.
    """
    action = program(model, BEST_EXACT).run(state).action
    assert action is not None
    return l1_loss(action, target, is_pad)
