"""Steps as CUDA graphs: captured once for each shape of the state, replayed with new inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from wambench.errors import UserError
from wambench.inference import Step

MOST_GRAPHS = 32  # of one group of steps; more means that the state differs in every call
WARM_UP_RUNS = 2  # before a capture: libraries choose their kernels in the first runs

Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Captures a run and gives what replays it."""


class CannotCapture(Exception):
    """The run does what no graph can: it copies from the host, or waits for the device."""


@dataclass(frozen=True)
class _Captured:
    inputs: Any  # the state whose tensors the graph reads
    results: Mapping[str, Any]  # attributes that the run set; the graph writes into their tensors
    replay: Callable[[], None]
    constants: Sequence[Tensor]  # that the graph reads too, kept from being freed


class GraphStep:
    """Runs some steps as one graph; as a step it takes the place of them all.

    Python code runs only while capturing, so everything in the state that is no tensor belongs to
    what a graph is chosen by. Steps that cannot be captured run as they are; ``refused`` then says
    why.
    """

    def __init__(self, steps: Sequence[Step[Any]], capture: Capture, results: set[int]) -> None:
        """``results``: ids of tensors that some graph writes; all steps of a program share it."""
        self.refused = ""
        self._steps, self._capture, self._results = steps, capture, results
        self._captured: dict[Any, _Captured] = {}

    def __call__(self, state: Any) -> None:
        """Copy the inputs in, replay, and hand the results to ``state``."""
        key = tuple(_signature(state))
        found = self._captured.get(key)
        if found is None and not self.refused:
            try:
                found = self._captured[key] = self._new(state)
            except CannotCapture as error:
                self.refused = str(error)
        if found is None:
            self._run(state)
            return
        _copy(found.inputs, state)
        found.replay()
        vars(state).update(self._own(found.results))

    def __len__(self) -> int:
        return len(self._captured)

    def _new(self, state: Any) -> _Captured:
        if len(self._captured) == MOST_GRAPHS:
            raise UserError(
                f"stage {self._steps[0].stage}: the state has another shape or value in every "
                f"call, and {MOST_GRAPHS} graphs are captured; measure it eager or compiled"
            )
        # What another graph writes is read where it lies; everything else is copied in.
        inputs = _mapped(state, lambda x: x if id(x) in self._results else x.clone())
        captured = _mapped(inputs, lambda x: x)
        before = dict(vars(captured))
        with _Constants() as constants:
            for _ in range(WARM_UP_RUNS):
                self._run(_mapped(inputs, Tensor.clone))
            replay = self._capture(lambda: self._run(captured))
        # Tensors that were only read stay the caller's: the graph's own copies of them change.
        results = {
            name: value
            for name, value in vars(captured).items()
            if not (isinstance(value, Tensor) and value is before.get(name))
        }
        if not self._is_kept():
            self._results.update(id(tensor) for tensor in _tensors(results))
        return _Captured(inputs, results, replay, list(constants.made.values()))

    def _own(self, results: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a policy may keep for the same instruction must outlive the next replay."""
        return _mapped(results, Tensor.clone) if self._is_kept() else results

    def _is_kept(self) -> bool:
        return self._steps[0].once_per_instruction

    def _run(self, state: Any) -> None:
        for step in self._steps:
            step.run(state)


def cuda_capture(run: Callable[[], None]) -> Callable[[], None]:
    """Capture on the current CUDA device."""
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            run()
    except RuntimeError as error:
        raise CannotCapture(" ".join(str(error).split("\n")[0].split())) from error
    return graph.replay


class _Constants(TorchFunctionMode):
    """Gives what ``torch.tensor`` made of the same numbers before, instead of making it again.

    Numbers of the host cannot be copied to the device while a graph is captured. They are the same
    in every replay, since all that is no tensor belongs to what a graph is chosen by.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, Tensor] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        numbers = args[0] if args else given.get("data")
        if func not in (torch.tensor, torch.as_tensor) or isinstance(numbers, Tensor):
            return func(*args, **given)
        key = repr((args, given))
        if key not in self.made:
            self.made[key] = func(*args, **given)
        return self.made[key]


def _tensors(value: Any) -> list[Tensor]:
    """All tensors of a state."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    _mapped(value, note)
    return found


def _signature(value: Any) -> Iterator[Any]:
    """Shapes of all tensors in a state, and everything that is no tensor."""
    if isinstance(value, Tensor):
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
    if isinstance(value, Tensor):
        if into is not value:
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
    if isinstance(value, Tensor):
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


def _is_record(value: Any) -> bool:
    """Whether it is a plain object that holds data: a state, a cache."""
    is_plain = hasattr(value, "__dict__") and not isinstance(value, type | torch.nn.Module)
    return is_plain and not callable(value)
