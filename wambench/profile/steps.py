"""Trace every step of an inference; of many that are alike, only the first ones and the last."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wambench.contract import Observation
from wambench.inference import Inference, Step
from wambench.profile.fvcore_counter import fvcore_flops
from wambench.profile.trace import Traced, trace, weights_of


@dataclass(frozen=True)
class Counted:
    """What the counters say of one step; ``fvcore`` is 0 if it was not asked."""

    traced: Traced
    fvcore: int | str


def trace_steps(
    inference: Inference, seen: Sequence[Observation], *, with_fvcore: bool = False
) -> tuple[Sequence[Counted], Any]:
    """Trace an inference.

    Flow steps are one function called with one number after another. Once two calls in a row were
    alike, the next ones are taken to be so, too, up to the last, which is traced again; if that one
    differs, all are traced. Where closed forms say that calls are alike, two of them are enough
    (the first may fill tables that later ones find).

    Returns:
        One count per step, and the finished state.
    """
    counted, state, is_sure = _trace(inference, seen, with_fvcore, skip=True)
    if not is_sure:
        counted, state, _ = _trace(inference, seen, with_fvcore, skip=False)
    return counted, state


def _trace(
    inference: Inference, seen: Sequence[Observation], with_fvcore: bool, *, skip: bool
) -> tuple[Sequence[Counted], Any, bool]:
    """One pass; the last value: every skipped step is like the last of its kind."""
    steps, state = inference.program.steps, inference.state(seen)
    weights = weights_of(inference.components)
    last = {_function(step): i for i, step in enumerate(steps)}
    closed: Sequence[int | None] = inference.flops or [None] * len(steps)
    so_far: dict[Hashable, list[int]] = {}  # indices of the steps that call a function
    out: list[Counted] = []
    is_sure = True
    for i, step in enumerate(steps):
        before = so_far.setdefault(_function(step), [])
        has_two = skip and len(before) > 1
        is_told = has_two and closed[i] is not None and closed[i] == closed[before[-1]]
        is_likely = has_two and out[before[-1]].traced == out[before[-2]].traced
        if is_told or (is_likely and i != last[_function(step)]):
            found = out[before[-1]]
        else:
            found = _look(step, state, weights, with_fvcore)
            is_sure &= not is_likely or found.traced == out[before[-1]].traced
        before.append(i)
        out.append(found)
    return out, state, is_sure


def _look(step: Step[Any], state: Any, weights: Mapping[int, int], with_fvcore: bool) -> Counted:
    opinion = fvcore_flops(step, state) if with_fvcore else 0
    return Counted(trace(partial(step.run, state), weights), opinion)


def _function(step: Step[Any]) -> Hashable:
    """What a step calls, whatever numbers it is called with."""
    run: Callable[..., None] = step.run
    while isinstance(run, partial):
        run = run.func
    return step.stage, getattr(run, "__func__", run)
