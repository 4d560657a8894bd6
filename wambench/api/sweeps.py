"""Run a sweep from Python, as ``wambench sweep`` does."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wambench import sweepfile
from wambench.api.arguments import named_as_arguments, plain
from wambench.api.run import Run
from wambench.errors import UserError, complaint
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.progress import Reporter
from wambench.sweeping.request import requested


@named_as_arguments
def sweep(
    file: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str],
    policies: Sequence[str | Mapping[str, Any]] | None = None,
    suites: Mapping[str, Any] | None = None,
    protocol: str | None = None,
    protocol_changes: Mapping[str, Any] | None = None,
    init_states: int | str | Sequence[int | str] | Mapping[str, Any] | None = None,
    seeds: int | str | Sequence[int | str] | None = None,
    latency_ms: Sequence[float] | None = None,
    latency: Mapping[str, Any] | None = None,
    rules: Sequence[str] | None = None,
    shard: str | None = None,
    limit: int | None = None,
    until_decided: Sequence[str] | None = None,
    effect: float | None = None,
    look_every: int | None = None,
    workers: int | None = None,
    ray_address: str | None = None,
    attempts: int | None = None,
    stall_seconds: float | None = None,
    wait_seconds: float | None = None,
    memory_gb: float | None = None,
    gpus: int | None = None,
    max_batch: int | None = None,
    allow_mismatch: Sequence[str] | None = None,
    progress: bool = False,
) -> Run:
    """Run every cell that the run directory does not know yet, on Ray.

    The cells, the checks and the store are the command's: a sweep that one began, the other goes on
    with. Stop it with Ctrl-C: the same call goes on from there.

    Args:
        file: a sweep file; without one, the next nine say what it would.
        out: the run directory; made, resumed or extended.
        policies: names, or mappings with name, label and options.
        suites: name -> tasks, or a mapping with tasks and init_states.
        protocol: name of a preset.
        protocol_changes: fields of it that are to be others.
        init_states: 7, [7, 9], range(20), "0-19", "all" or a mapping with sample.
        seeds: the same, but for the last two.
        latency_ms: of a paying clock.
        latency: the same, by policy.
        rules: what the robot does meanwhile.
        shard: part i/n of the cells, "2/8".
        limit: run at most so many new cells.
        until_decided: pairs of policies, "A,B", or "all": end when it is decided which is better.
        effect: with until_decided: the difference that matters.
        look_every: with until_decided: rounds from one look to the next.
        workers: simulator processes; None: as many as fit.
        ray_address: join this Ray cluster.
        attempts: tries of a cell that the machinery fails; None: 3.
        stall_seconds: when a simulator is wedged; None: 120.
        wait_seconds: end a sweep in which nothing has moved for so long; None: 600.
        memory_gb: use at most this much memory (10^9 bytes).
        gpus: of this machine to use; None: all.
        max_batch: requests a policy gets at once; None: each policy's own.
        allow_mismatch: extend a run although these passport fields differ.
        progress: show on stderr how it goes, as the command does. Without it, what is left out of
            a sweep is a warning.

    Returns:
        The run directory, with every cell that was asked for.

    Raises:
        UserError: what the command refuses, before anything runs; or, when all else is stored:
            cells that the machinery failed each time, a policy that broke its contract in every
            episode. ``wambench.Run(out)`` then opens what there is.

    """
    fields = {
        "policies": policies, "suites": suites, "protocol": protocol,
        "protocol_changes": protocol_changes, "init_states": init_states, "seeds": seeds,
        "latency_ms": latency_ms, "latency": latency, "rules": rules,
    }  # fmt: skip
    given = _given(fields)
    if file is None:
        wanted = sweepfile.parse(given, "sweep")
    elif given:
        raise UserError(
            f"sweep: {next(iter(given))} belongs in {os.fspath(file)!r}; write it there, or "
            "name no file"
        )
    else:
        wanted = sweepfile.read(Path(file))
    how = {
        "workers": workers, "ray_address": ray_address, "attempts": attempts,
        "stall_seconds": stall_seconds, "wait_seconds": wait_seconds, "memory_gb": memory_gb,
        "gpus": gpus, "max_batch": max_batch, "allow_mismatch": allow_mismatch,
    }  # fmt: skip
    what = {
        "shard": shard, "limit": limit, "until_decided": until_decided, "effect": effect,
        "look_every": look_every,
    }  # fmt: skip
    request = requested(
        wanted,
        Path(out),
        _options(_given(how)),
        shard=shard,
        limit=limit,
        pairs=[until_decided] if isinstance(until_decided, str) else until_decided or (),
        effect=effect,
        look_every=look_every,
    )
    if not progress:
        for line in request.plan.notes:
            warnings.warn(line, stacklevel=3)
    named = {} if file is None else {"file": os.fspath(file)}
    asked = named | given | {"out": os.fspath(out)} | _given(what | how)
    request.run(Reporter(quiet=not progress), _call(asked)).check()
    return Run(out)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items() if value is not None}


def _options(given: Mapping[str, Any]) -> SweepOptions:
    try:
        return SweepOptions(**given)
    except ValidationError as error:
        location, problem = complaint(error)
        raise UserError(f"sweep: {'.'.join(map(str, location))}: {problem}") from None


def _call(given: Mapping[str, Any]) -> str:
    """What was asked for as code, for the record."""
    return f"wambench.sweep({', '.join(f'{name}={value!r}' for name, value in given.items())})"
