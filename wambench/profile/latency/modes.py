"""How the steps of a program are executed: as they are, compiled, or as CUDA graphs."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from wambench.errors import UserError
from wambench.inference import Inference, StageName, Step
from wambench.profile.latency.protocol import Mode
from wambench.profile.latency.work import put

if TYPE_CHECKING:  # the bench must not import torch for a policy that does not
    from wambench.profile.latency.graphs import Capture


@dataclass
class Executed:
    """A program in its mode.

    Attributes:
        steps: as they were before.
        graphs: says how many pieces are compiled or captured by now; None in eager mode.
        refused: stage -> why it could not be captured, and runs as it is.
    """

    steps: Sequence[Step[Any]]
    graphs: Callable[[], int | None] = field(default=lambda: None)
    refused: Callable[[], Mapping[StageName, str]] = field(default=dict)


def execute(
    inference: Inference | None,
    mode: Mode,
    *,
    backend: str = "inductor",
    capture: Capture | None = None,
) -> Executed:
    """Put a program into a mode, in place, so that ``act`` runs it too.

    Args:
        inference: what the policy shows of itself.
        mode: of execution.
        backend: torch.compile's.
        capture: how a graph is captured; by default by CUDA.

    Raises:
        UserError: a policy that shows no program, or a graph without a GPU.
    """
    if mode == "eager":
        return Executed(inference.program.steps if inference else ())
    if inference is None:
        raise UserError(f"it shows no inference(), so mode {mode} has no steps; measure it eager")
    program = inference.program
    before = program.steps
    if mode == "compiled":
        put(program, _compiled(before, backend))
        return Executed(before, _pieces)
    from wambench.profile.latency.graphs import GraphStep, cuda_capture

    if capture is None:
        import torch

        if not torch.cuda.is_initialized():
            raise UserError("mode graph needs a policy on a CUDA GPU; measure it eager or compiled")
        capture = cuda_capture
    results: set[int] = set()
    runs: list[tuple[StageName, GraphStep]] = []
    steps: list[Step[Any]] = []
    for (stage, once), group in itertools.groupby(before, _stage_and_once):
        run = GraphStep(list(group), capture, results)
        runs.append((stage, run))
        steps.append(Step(stage, run, once))
    put(program, steps)
    return Executed(
        before,
        graphs=lambda: sum(len(run) for _, run in runs),
        refused=lambda: {stage: run.refused for stage, run in runs if run.refused},
    )


def _stage_and_once(step: Step[Any]) -> tuple[StageName, bool]:
    """Steps in a row that agree in this become one graph."""
    return step.stage, step.once_per_instruction


def _compiled(steps: Sequence[Step[Any]], backend: str) -> list[Step[Any]]:
    """Compile every step's function.

    torch keeps a few versions for each code object and then silently gives up; a code object for
    every step keeps the steps out of each other's way.
    """
    import torch
    from torch._dynamo.utils import counters

    counters.clear()

    def compiled(step: Step[Any]) -> Step[Any]:
        run = step.run

        def call(state: Any) -> None:
            run(state)

        own = types.FunctionType(
            call.__code__.replace(), call.__globals__, call.__name__, None, call.__closure__
        )
        return replace(step, run=torch.compile(own, backend=backend))

    return [compiled(step) for step in steps]


def _pieces() -> int:
    """Graphs that torch.compile has made in this process since the program was compiled."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])
