"""Turn what action tokens ask into what they read, while a policy computes its own attention."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from analysis.attention.reduce import Captured, Reduction
from wambench.attention import Attention, Reading
from wambench.errors import UserError
from wambench.inference import Inference

if TYPE_CHECKING:
    from torch import Tensor

LIMIT_BYTES = 2_000_000
"""Kept of each time that the policy is asked."""

BATCH_VALUES = 2**22
"""Probabilities computed at once: many small softmaxes cost what one of their size costs."""


def attention_of(policy: str, inference: Inference | None) -> Attention:
    """What a policy shows; UserError for one that has no action tokens, or hides them."""
    if inference is None or inference.attention is None:
        raise UserError(
            f"policy {policy!r} shows no attention of action tokens; choose a learned policy "
            "(wambench policies)"
        )
    return inference.attention


def probabilities(*readings: Reading) -> Tensor:
    """Explicit float32 softmax of readings of one part.

    Returns:
        [N, heads, Q, K]; a masked key has probability 0.
    """
    import torch

    q = torch.cat([one.queries for one in readings]).float().transpose(1, 2)
    k = torch.cat([one.keys for one in readings]).float().transpose(1, 2)
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k = k.repeat_interleave(groups, dim=1)
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    for one, own in zip(readings, logits, strict=True):
        if one.mask is not None:
            allowed = one.mask[0] if one.mask.dim() == 4 else one.mask
            own.masked_fill_(~allowed, float("-inf"))
    return logits.softmax(dim=-1)


class Capture:
    """While it is open, every inference of a policy is captured.

    The policy's actions are the same to the bit: it computes its attention as ever, and this
    computes it once more. An inference must begin inside.

    Attributes:
        taken: what was captured, one for each inference, in their order.
    """

    def __init__(
        self, attention: Attention, *, full: bool = False, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        """Nothing happens yet.

        Args:
            attention: of :func:`attention_of`.
            full: keep all probabilities too, hundreds of megabytes of a published model.
            limit_bytes: kept of each inference otherwise.
        """
        self.taken: list[Captured] = []
        self._attention, self._full = attention, full
        self._limit = limit_bytes // len(attention.parts)
        self._context: AbstractContextManager[None] | None = None
        self._begin()

    def __enter__(self) -> Self:
        self._context = self._attention.watch(self._listen)
        self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._context is not None
        self._context.__exit__(kind, error, trace)
        if error is None and not self.taken:
            raise RuntimeError("nothing was captured: begin and finish an inference inside")

    def _begin(self) -> None:
        self._told: set[tuple[int, int, str]] = set()
        self._waiting: dict[str, list[Reading]] = {part: [] for part in self._attention.parts}
        self._parts: dict[str, Reduction] = {}

    def _listen(self, reading: Reading) -> None:
        place = (reading.step, reading.layer, reading.part)
        if place in self._told:  # the inference before was left unfinished
            self._begin()
        self._told.add(place)
        waiting = self._waiting[reading.part]
        waiting.append(reading)
        heads, size = self._attention.heads, len(reading.actions) * len(reading.tokens)
        if len(waiting) * heads * size >= BATCH_VALUES:
            self._reduce(reading.part)
        counts = self._attention
        if len(self._told) == counts.steps * sum(counts.depth(part) for part in counts.parts):
            for part in counts.parts:
                self._reduce(part)
            self.taken.append(Captured({p: self._parts[p].finish() for p in counts.parts}))
            self._begin()

    def _reduce(self, part: str) -> None:
        import torch

        waiting, self._waiting[part] = self._waiting[part], []
        if not waiting:
            return
        first = waiting[0]
        if part not in self._parts:
            own = replace(self._attention, layers=self._attention.depth(part))
            self._parts[part] = Reduction(
                own, first.tokens, full=self._full, limit_bytes=self._limit
            )
        reduction = self._parts[part]
        with torch.inference_mode():
            p = probabilities(*waiting)
            if len(first.actions) > self._attention.actions:  # several rows for each action
                p = p.unflatten(2, (self._attention.actions, -1)).mean(dim=3)
            if reduction.merged:
                kept, merged = (
                    p.index_select(-1, torch.tensor(columns, device=p.device))
                    for columns in (reduction.kept, reduction.merged)
                )
                p = torch.cat([kept, merged.sum(dim=-1, keepdim=True)], dim=-1)
            reduction.add([(one.step, one.layer) for one in waiting], p)
