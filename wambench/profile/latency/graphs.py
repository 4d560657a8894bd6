"""Steps as CUDA graphs: captured once for each shape of the state, replayed with new inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wambench.errors import UserError
from wambench.inference import Step

MOST_GRAPHS = 32  # of one group of steps; more means that the state differs in every call
WARM_UP_RUNS = 3  # before a capture: libraries choose their kernels in the first runs

Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Captures a run and gives what replays it."""


@dataclass(frozen=True)
class _Captured:
    inputs: Any  # the state whose tensors the graph reads
    results: Mapping[str, Any]  # attributes that the run set; the graph writes into their tensors
    replay: Callable[[], None]


class GraphStep:
    """Runs some steps as one graph; as a step it takes the place of them all.

    Python code runs only while capturing, so everything in the state that is no tensor belongs to
    what a graph is chosen by.
    """

    def __init__(self, steps: Sequence[Step[Any]], capture: Capture) -> None:
        self._steps, self._capture = steps, capture
        self._captured: dict[Any, _Captured] = {}

    def __call__(self, state: Any) -> None:
        """Copy the inputs in, replay, and hand the results to ``state``."""
        key = tuple(_signature(state))
        found = self._captured.get(key)
        if found is None:
            found = self._captured[key] = self._new(state)
        _copy(found.inputs, state)
        found.replay()
        vars(state).update(self._own(found.results))

    def __len__(self) -> int:
        return len(self._captured)

    def _new(self, state: Any) -> _Captured:
        if len(self._captured) == MOST_GRAPHS:
            raise UserError(
                f"stages {', '.join(sorted({s.stage for s in self._steps}))}: the state has "
                f"another shape or value in every call, and {MOST_GRAPHS} graphs are captured; "
                "measure this policy eager or compiled"
            )
        inputs = _mapped(state, lambda tensor: tensor.clone())
        for _ in range(WARM_UP_RUNS - 1):
            self._run(_mapped(inputs, lambda tensor: tensor.clone()))
        captured = _mapped(inputs, lambda tensor: tensor)  # its tensors are those of ``inputs``
        before = dict(vars(captured))
        replay = self._capture(lambda: self._run(captured))
        # Tensors that were only read stay the caller's: the graph's own copies of them change.
        results = {
            name: value
            for name, value in vars(captured).items()
            if not (_is_tensor(value) and value is before.get(name))
        }
        return _Captured(inputs, results, replay)

    def _own(self, results: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a policy may keep for the same instruction must outlive the next replay."""
        if not self._steps[0].once_per_instruction:
            return results
        return {k: _mapped(value, lambda tensor: tensor.clone()) for k, value in results.items()}

    def _run(self, state: Any) -> None:
        for step in self._steps:
            step.run(state)


def cuda_capture(run: Callable[[], None]) -> Callable[[], None]:
    """Capture on the current CUDA device.

    Raises:
        UserError: the run copies from the host or waits for the device, which no graph can.
    """
    import torch

    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            run()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the program cannot be captured as a CUDA graph: {reason}; measure it eager or "
            "compiled"
        ) from error
    return graph.replay


def _signature(value: Any) -> Iterator[Any]:
    """Shapes of all tensors in a state, and everything that is no tensor."""
    if _is_tensor(value):
        yield tuple(value.shape), str(value.dtype), str(value.device)
    elif isinstance(value, list | tuple):
        yield len(value)
        for part in value:
            yield from _signature(part)
    elif isinstance(value, dict) or _is_record(value):
        parts = value if isinstance(value, dict) else vars(value)
        for name in parts:
            yield name
            yield from _signature(parts[name])
    elif isinstance(value, str | int | float | bool | None):
        yield value
    else:
        yield id(value)


def _copy(into: Any, value: Any) -> None:
    """Copy the tensors of a state into another of the same signature."""
    if _is_tensor(value):
        into.copy_(value)
    elif isinstance(value, list | tuple):
        for ours, theirs in zip(into, value, strict=True):
            _copy(ours, theirs)
    elif isinstance(value, dict):
        for name in value:
            _copy(into[name], value[name])
    elif _is_record(value):
        _copy(vars(into), vars(value))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A state of the same structure with every tensor changed."""
    if _is_tensor(value):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(part, change) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(_mapped(part, change) for part in value)
    if isinstance(value, dict):
        return {name: _mapped(part, change) for name, part in value.items()}
    if _is_record(value):
        new = copy.copy(value)
        for name, part in vars(value).items():
            object.__setattr__(new, name, _mapped(part, change))
        return new
    return value


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _is_record(value: Any) -> bool:
    """Whether it is a plain object that holds data: a state, a cache."""
    import torch

    is_plain = hasattr(value, "__dict__") and not isinstance(value, type | torch.nn.Module)
    return is_plain and not callable(value)
