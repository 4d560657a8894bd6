"""Explain all failed episodes of a run from its store.

Opening a task costs seconds and a simulator needs a process of its own, so episodes are grouped by
task and each task is read in a fresh process.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.failures.definitions import STANDARD, Thresholds
from analysis.failures.explaining import Failure, explain
from wambench import plugins
from wambench.cells import Cell
from wambench.episode import reset
from wambench.errors import UserError, one_line
from wambench.protocols import Protocol
from wambench.store import Store, StoredCell

AROUND_S = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of the failing moment: when a strip shows the episode
SIZE = (128, 128)  # (height, width) of a strip's frame


@dataclass(frozen=True)
class Explained:
    """An episode that failed and why. ``strip``: uint8 [H, n W, 3], upright; None if not drawn."""

    cell: Cell
    steps: int
    failure: Failure
    strip: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Findings:
    """Explained episodes in canonical order, and one line for each task that could not be read."""

    explained: Sequence[Explained]
    problems: Sequence[str]


@dataclass(frozen=True)
class _Wanted:
    """One episode; travels to the reading process."""

    cell: Cell
    snapshots: NDArray[np.float64]  # [T + 1, n]


def explain_run(
    store: Store,
    thresholds: Thresholds = STANDARD,
    *,
    strips: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Findings:
    """Explain every current cell that did not succeed; ``tell`` hears how it goes.

    Cells that were not run yet are in no table. Raises UserError for a run without results.
    """
    failed = [stored for stored in store.cells() if stored.outcome != "success"]
    if store.passport() is None:
        raise UserError(f"{str(store.folder)!r} holds no results yet; run its sweep first")
    rules = store.protocol()
    messages = {attempt["cell_key"]: attempt["message"] for attempt in store.attempts()}
    done = {}
    for stored in failed:
        known = _without_a_look(stored, messages.get(stored.cell.key, ""))
        if known is not None:
            done[stored.cell.key] = known
    groups: dict[tuple[str, int], list[_Wanted]] = {}
    for stored in failed:
        if stored.outcome == "failure":
            wanted = _Wanted(stored.cell, store.trace(stored.cell.key).snapshots)
            groups.setdefault((stored.cell.suite, stored.cell.task_index), []).append(wanted)
    problems = []
    for found, problem in _read(list(groups.values()), rules, thresholds, strips, tell):
        done |= found
        problems += [problem] if problem else []
    explained = [done[stored.cell.key] for stored in failed if stored.cell.key in done]
    return Findings(explained, sorted(problems))


def _without_a_look(stored: StoredCell, message: str) -> Explained | None:
    """What needs no simulator: faults of the policy and, with its last message, the machinery's."""
    if stored.outcome == "policy_error":
        failure = Failure("policy error", stored.steps or 0, stored.fault)
    elif stored.outcome is None and stored.infrastructure_failures:
        failure = Failure("infrastructure", 0, " ".join(message.split()))
    else:
        return None
    return Explained(stored.cell, stored.steps or 0, failure)


def _read(
    groups: Sequence[Sequence[_Wanted]],
    rules: Protocol,
    thresholds: Thresholds,
    strips: bool,
    tell: Callable[[str], None],
) -> Sequence[tuple[Mapping[str, Explained], str]]:
    """For each task: cell key -> explanation, and why it could not be read (else empty)."""
    if not groups:
        return []
    workers = min(2, len(groups), os.cpu_count() or 1)
    out: list[tuple[Mapping[str, Explained], str]] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, max_tasks_per_child=1) as pool:
        futures = {
            pool.submit(_read_task, group, rules, thresholds, strips): group[0].cell
            for group in groups
        }
        for future in as_completed(futures):
            cell = futures[future]
            error = future.exception()
            if error is None:
                out.append((future.result(), ""))
            else:
                out.append(({}, f"{cell.suite}/{cell.task_index}: {one_line(error)}"))
            tell(f"{len(out)} of {len(groups)} tasks read")
    return out


def _read_task(
    group: Sequence[_Wanted], rules: Protocol, thresholds: Thresholds, strips: bool
) -> dict[str, Explained]:
    """Explain episodes of one task, in a process that has opened no other."""
    first = group[0].cell
    suite = plugins.make_suite(first.suite)
    task = next((t for t in suite.tasks() if t.name == first.task), None)
    if task is None:
        raise LookupError(f"the installed {first.suite} has no task {first.task!r}")
    simulator, hz = suite.open(task, rules.rendering), suite.spec.control_hz
    out = {}
    for wanted in group:
        # Snapshots hold what moves; where fixtures stand is settled by the reset.
        reset(wanted.cell, rules, task.start(wanted.cell.init_state), simulator)
        facts = [simulator.facts(snapshot) for snapshot in wanted.snapshots]
        told = [moment for moment in facts if moment is not None]
        if len(told) < len(facts):
            raise LookupError(f"{suite.spec.simulator} tells no facts of its snapshots")
        failure, last = explain(told, hz, thresholds), len(facts) - 1
        strip = None
        if strips:
            moments = [min(max(failure.step + round(s * hz), 0), last) for s in AROUND_S]
            camera = suite.spec.cameras[0]
            frames = [simulator.draw(wanted.snapshots[t], [camera], SIZE) for t in moments]
            strip = np.concatenate([frame[camera] for frame in frames], axis=1)
        out[wanted.cell.key] = Explained(wanted.cell, last, failure, strip)
    simulator.close()
    return out
