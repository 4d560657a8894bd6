"""Inference as named stages: what a policy computes, in order, one callable at a time.

Running the steps of a :class:`Program` in order is the policy's inference; there is no second code
path for profilers, counters or attention maps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

StageName = Literal["text", "vision", "prefill", "imagine", "act", "decode"]

S = TypeVar("S")


@dataclass(frozen=True)
class Step(Generic[S]):
    """One call of a stage; it reads and writes the state of the inference.

    ``once_per_instruction``: its result depends on the instruction alone and may be kept while the
    instruction stays the same.
    """

    stage: StageName
    run: Callable[[S], None]
    once_per_instruction: bool = False


@dataclass(frozen=True)
class Program(Generic[S]):
    """The steps of one inference, in order."""

    steps: Sequence[Step[S]]

    def run(self, state: S, *, warm_text: bool = False) -> S:
        """Run every step; ``warm_text`` leaves out those whose result ``state`` already holds."""
        for step in self.steps:
            if not (warm_text and step.once_per_instruction):
                step.run(state)
        return state

    def calls(self, *, warm_text: bool = False) -> Mapping[StageName, int]:
        """How often each stage runs in one inference."""
        counted = (
            step.stage for step in self.steps if not (warm_text and step.once_per_instruction)
        )
        return Counter(counted)
