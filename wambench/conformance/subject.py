"""A policy under questions: each is asked in an episode of its own, through the engine's door."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench.conformance.looks import Look
from wambench.contract import ActionSpec, Observation
from wambench.errors import PolicyFault
from wambench.policy import Policy
from wambench.policy_server import answer_batch, begin, describe
from wambench.protocols import Protocol

Chunk = NDArray[np.float64]
Change = Callable[[Observation], Observation]


@dataclass
class Subject:
    """A loaded policy and what it may be shown.

    Attributes:
        policy: loaded.
        suite: whose conventions it is held to.
        protocol: under which it is asked.
        action: the suite's convention, which it answers in.
        instructions: of the suite's tasks.
        looks: observations, with what the expert did where ``judge`` is empty.
        judge: why nobody knows what is right; empty where the expert does.
    """

    policy: Policy
    suite: str
    protocol: Protocol
    action: ActionSpec
    instructions: Sequence[str]
    looks: Sequence[Look]
    judge: str = ""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def few(self) -> Sequence[Look]:
        """Three looks, far apart: what questions without a right answer are asked about."""
        return [self.looks[i] for i in np.linspace(0, len(self.looks) - 1, 3).astype(int)]

    def raw(self, look: Look) -> object:
        """Its answer, whatever it is; PolicyFault or InfrastructureFailure if there is none."""
        return self.together([look])[0]

    def ask(self, look: Look) -> Chunk:
        """Its answer as float64 [H, dim], neither clipped nor cut; PolicyFault for any other."""
        return self._shaped(self.raw(look))

    def changed(self, look: Look, change: Change) -> Chunk:
        """Its answer to a look that was tampered with."""
        return self.ask(replace(look, seen=change(look.seen)))

    def together(self, looks: Sequence[Look]) -> Sequence[object]:
        """Its answers to one batch, each look in a new episode of another name."""
        named = [
            replace(
                look,
                start=replace(look.start, episode=name, instruction=look.seen.instruction),
                seen=replace(look.seen, episode=name),
            )
            for look in looks
            for name in (f"conformance-{next(self._numbers)}",)
        ]
        try:
            for look in named:
                begin(self.policy, look.start).unwrap()
            answers = answer_batch(self.policy, [look.seen for look in named])
            return [answer.unwrap() for answer in answers]
        finally:
            for look in named:
                self._forget(look.start.episode)

    def _forget(self, episode: str) -> None:
        try:
            self.policy.forget(episode)
        except Exception as error:  # a stranger's code
            raise PolicyFault(describe(error)) from error

    def batch(self, looks: Sequence[Look]) -> Sequence[Chunk]:
        """As :meth:`together`, checked as :meth:`ask` does."""
        return [self._shaped(answer) for answer in self.together(looks)]

    @cached_property
    def answers(self) -> Sequence[Chunk]:
        """Its answers to all looks, as they are."""
        return [self.ask(look) for look in self.looks]

    @cached_property
    def repeatable(self) -> bool:
        """Whether it answers the same twice, to the bit."""
        return all(same(self.ask(look), self.ask(look)) for look in self.few)

    def _shaped(self, answer: Any) -> Chunk:
        floats = isinstance(answer, np.ndarray) and answer.dtype.kind == "f"
        if floats and answer.ndim == 2 and len(answer) and answer.shape[1] == self.action.dim:
            return answer.astype(np.float64)
        shape = getattr(answer, "shape", type(answer).__name__)
        raise PolicyFault(f"act() returned {shape}, not floats [H, {self.action.dim}]")


def same(one: Chunk, other: Chunk) -> bool:
    """Whether two answers are equal to the bit."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def apart(one: Chunk, other: Chunk) -> float:
    """The largest difference of two answers, over the actions that both have."""
    both = min(len(one), len(other))
    return float(np.abs(one[:both] - other[:both]).max())
