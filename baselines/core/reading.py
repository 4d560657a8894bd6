"""How the calls of :func:`~baselines.core.attention.attend` in a flow step become readings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

from torch import Tensor

from baselines.core.attention import asked
from baselines.core.labels import Labels, Reader
from wambench.attention import Reading, Token


class Call(NamedTuple):
    """One softmax in which actions ask; see :class:`Reading`.

    ``actions``: of the queries from number ``start`` on; the others are of other tokens.
    """

    layer: int
    part: str
    tokens: Sequence[Token]
    actions: Sequence[int]
    start: int = 0


Calls = Callable[[Labels], Sequence[Call | None]]
"""All calls of a flow step in their order; None: one in which no action asks."""


def reading(reader: Reader | None, step: int, calls: Calls) -> AbstractContextManager[None]:
    """The context in which a flow step runs its layers; without a ``reader`` it does nothing."""
    return nullcontext() if reader is None else _told(reader, step, calls(reader.labels))


@contextmanager
def _told(reader: Reader, step: int, calls: Sequence[Call | None]) -> Iterator[None]:
    count = 0

    def ask(q: Tensor, k: Tensor, mask: Tensor | None) -> None:
        nonlocal count
        if len(q) != 1:
            raise ValueError(
                f"attention is told of one observation at a time, and here are {len(q)}; "
                "give the policy one, or batch_size 1"
            )
        call = calls[count]
        count += 1
        if call is not None:
            reader.listen(_reading(call, step, q, k, mask))

    with asked(ask):
        yield
    if count != len(calls):
        raise RuntimeError(f"a flow step made {count} calls of attention, not {len(calls)}")


def _reading(call: Call, step: int, q: Tensor, k: Tensor, mask: Tensor | None) -> Reading:
    if k.shape[1] != len(call.tokens):
        raise RuntimeError(f"layer {call.layer}: {k.shape[1]} keys, {len(call.tokens)} labels")
    rows = slice(call.start, call.start + len(call.actions))
    if mask is not None and mask.shape[-2] > 1:
        mask = mask[..., rows, :]
    return Reading(
        step=step,
        layer=call.layer,
        part=call.part,
        queries=q[:, rows],
        actions=call.actions,
        keys=k,
        mask=mask,
        tokens=call.tokens,
    )
