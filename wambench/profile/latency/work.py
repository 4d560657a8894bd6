"""What one call really computes: FLOPs by torch's counter, and which steps of the program run."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from wambench.inference import Program, StageName, Step

ATTENTION = ("scaled_dot_product", "flash_attention", "efficient_attention", "flex_attention")
"""Parts of the names of torch's fused attention operations."""


def counted(call: Callable[[], object]) -> tuple[int, int] | None:
    """FLOPs of a call, and those of fused attention; None (and no call) where torch is not used.

    The fused fast path of ``nn.MultiheadAttention``, which hides its work, is off meanwhile.
    """
    if "torch" not in sys.modules:
        return None
    import torch

    from wambench.profile.counter import counter

    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(), counter() as count:
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)
    by_operation: dict[Any, int] = count.flop_counts.get("Global", {})
    attention = sum(
        flops
        for operation, flops in by_operation.items()
        if any(part in str(operation) for part in ATTENTION)
    )
    return int(count.get_total_flops()), int(attention)


@contextlib.contextmanager
def spied(program: Program[Any]) -> Iterator[Counter[StageName]]:
    """Count the calls of each stage while whoever holds this program runs it."""
    calls: Counter[StageName] = Counter()

    def spy(step: Step[Any]) -> Step[Any]:
        def run(state: Any) -> None:
            calls[step.stage] += 1
            step.run(state)

        return replace(step, run=run)

    before = program.steps
    put(program, [spy(step) for step in before])
    try:
        yield calls
    finally:
        put(program, before)


def put(program: Program[Any], steps: Sequence[Step[Any]]) -> None:
    """Give a program other steps, in place: the policy acts by this very object.

    Nobody but a profiler may do this, hence the detour around ``frozen``.
    """
    object.__setattr__(program, "steps", steps)
