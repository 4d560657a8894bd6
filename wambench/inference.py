"""One inference of a policy laid open: named steps over a state, for profilers and attention maps.

A policy's ``act`` runs the same steps: what is counted, timed or looked at is what acts. Nothing
here imports torch; tensors and modules are the policy's own affair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from wambench.attention import Attention
from wambench.contract import Frozen, Observation

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


@dataclass(frozen=True)
class Imagined:
    """Frames that a policy expects to see.

    Attributes:
        frames: uint8 [B, cameras, T, H, W, 3], as large and in the orientation of what it is shown.
        cameras: their names, in order.
        offsets: [T], control steps from the observation to each frame.
    """

    frames: NDArray[np.uint8]
    cameras: Sequence[str]
    offsets: Sequence[int]


@dataclass(frozen=True)
class Inference:
    """What a policy shows of one inference.

    Attributes:
        program: the steps.
        state: makes the state of an inference from observations (a batch), as ``act`` does.
        components: name -> torch module; all weights that the steps read.
        action: the actions [B, H, >= A] in a state whose program has run, a tensor.
        cache: tensors of a finished state that a later step read again (keys and values).
        flops: closed form, one integer for every step of the program and a batch of 1, for the
            reference instruction (see :data:`wambench.profile.observations.INSTRUCTION`);
            1 multiply-add = 2, only matrix products, convolutions and (dense) attention. None:
            there is no closed form, and only counters tell.
        control_hz: actions that the robot executes in a second; None: not known.
        attention: what its action tokens read; None: it has none, or does not show it.
        imagined: what a state whose program has run expects to see, worked out if acting leaves
            that out; the state stays as it is. None: it imagines nothing, or does not show it.
    """

    program: Program[Any]
    state: Callable[[Sequence[Observation]], Any]
    components: Mapping[str, Any]
    action: Callable[[Any], Any]
    cache: Callable[[Any], Sequence[Any]] = lambda state: ()
    flops: Sequence[int] | None = None
    control_hz: float | None = None
    attention: Attention | None = None
    imagined: Callable[[Any], Imagined] | None = None


class Variant(Frozen):
    """A policy with options: how a geometry is asked for."""

    policy: str
    options: Mapping[str, Any] = {}
