"""fvcore as a third opinion: it knows no attention kernel, counts a multiply-add once, and is old.

What it says is shown beside our counts, because papers use it; nothing is computed from it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from wambench.errors import UserError, one_line
from wambench.inference import Step

MESSAGE = 80  # characters of an error that are kept


def check_fvcore() -> None:
    """Raise UserError if fvcore is not installed."""
    try:
        import fvcore.nn  # noqa: F401
    except ImportError:
        raise UserError("fvcore is not installed; pip install 'wambench[fvcore]'") from None


def fvcore_flops(step: Step[Any], state: Any) -> int | str:
    """FLOPs of one step as fvcore sees them, times 2; or why it cannot run.

    The step really runs on ``state``, whether fvcore can count it or not.
    """
    from fvcore.nn import FlopCountAnalysis

    call = _Call(step, copy.copy(state))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            analysis = FlopCountAnalysis(call, call.inputs())
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            found: int | str = 2 * int(analysis.total())
    except Exception as error:  # jit tracing can fail in any way
        found = f"cannot run: {one_line(error)[:MESSAGE]}"
    return found


def by_stage(
    steps: Sequence[Step[Any]], opinions: Sequence[int | str], counted: Sequence[int]
) -> Mapping[str, int | str]:
    """Sum what :func:`fvcore_flops` says of every step; one that it cannot run spoils its stage.

    Args:
        steps: in order.
        opinions: of fvcore, one per step.
        counted: by torch's counter, to tell an empty step from one that fvcore cannot follow.
    """
    found: dict[str, int | str] = {}
    for step, opinion, flops in zip(steps, opinions, counted, strict=True):
        if opinion == 0 and flops:
            opinion = "cannot follow: the result is kept out of its sight"
        so_far = found.get(step.stage, 0)
        if isinstance(so_far, str):
            continue
        found[step.stage] = opinion if isinstance(opinion, str) else so_far + opinion
    return found


class _Call(nn.Module):
    """A step as a function of the tensors of its state, which is what jit tracing can follow."""

    def __init__(self, step: Step[Any], state: Any) -> None:
        super().__init__()
        self._step, self._state = step, state
        self._leaves, self._layout = tree_flatten(dict(vars(state)))
        self._places = [i for i, leaf in enumerate(self._leaves) if isinstance(leaf, Tensor)]

    def inputs(self) -> tuple[Tensor, ...]:
        """Every tensor of the state."""
        return tuple(self._leaves[place] for place in self._places)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        leaves = list(self._leaves)
        for place, tensor in zip(self._places, tensors, strict=True):
            leaves[place] = tensor
        content: Mapping[str, Any] = tree_unflatten(leaves, self._layout)
        vars(self._state).update(content)
        self._step.run(self._state)
        after = tree_leaves(dict(vars(self._state)))
        return tuple(x + 0 for x in after if isinstance(x, Tensor) and x.is_floating_point())
