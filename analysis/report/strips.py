"""Film strips of a few episodes, drawn afterwards from their stored traces.

Opening a task costs seconds and a simulator needs a process of its own, so episodes are chosen to
open as few tasks as possible, and each task is drawn in a fresh process.
"""

from __future__ import annotations

import io
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wambench import plugins
from wambench.cells import Cell
from wambench.episode import reset
from wambench.protocols import Protocol
from wambench.store import Store, StoredCell, examples

FRAMES = 6
APART_S = 0.5  # between frames around a moment
SIZE = (128, 128)  # (height, width) of a frame
MOST = 60  # strips; keeps the page below 5 MB
TASK_SECONDS = 120  # a simulator that takes longer to draw one task has hung


@dataclass(frozen=True)
class Shot:
    """An episode to draw: around a control step, or the whole of it."""

    episode: StoredCell
    around: int | None = None


@dataclass(frozen=True)
class Strip:
    """One drawn episode. ``frames`` are JPEG files, taken after ``steps`` control steps."""

    episode: StoredCell
    steps: Sequence[int]
    frames: Sequence[bytes]


@dataclass(frozen=True)
class _Wanted:
    """One strip to draw; travels to the drawing process."""

    number: int  # of the shot
    cell: Cell
    snapshots: NDArray[np.float64]  # [FRAMES, n]


def choose(store: Store, policies: Sequence[str]) -> list[StoredCell]:
    """One success and one failure of each policy, of as few tasks as cover them.

    Failures are taken where the first policy succeeded, if there are such: seen side by side,
    they show what went wrong. Ties are broken by the canonical order.
    """
    by_task: dict[tuple[str, int], dict[tuple[str, bool], StoredCell]] = {}
    for stored in store.cells(examples(store, policies[0])):
        if stored.cell.policy not in policies:
            continue
        offers = by_task.setdefault((stored.cell.suite, stored.cell.task_index), {})
        offers[stored.cell.policy, stored.outcome == "success"] = stored
    needs = {need for offers in by_task.values() for need in offers}
    chosen: dict[tuple[str, bool], StoredCell] = {}
    while needs:
        offers = max(by_task.values(), key=lambda offers: len(needs & offers.keys()))
        chosen |= {need: offers[need] for need in needs & offers.keys()}
        needs -= offers.keys()
    return list(chosen.values())


def draw(
    store: Store, shots: Sequence[Shot], rules: Protocol
) -> tuple[list[Strip | None], list[str]]:
    """Draw what is asked for; returns a strip for each shot, and why any are lacking."""
    steps: list[Sequence[int]] = []
    groups: dict[tuple[str, int], list[_Wanted]] = {}
    for number, shot in enumerate(shots):
        cell = shot.episode.cell
        snapshots = store.trace(cell.key).snapshots
        steps.append(_moments(shot, len(snapshots) - 1))
        groups.setdefault((cell.suite, cell.task_index), []).append(
            _Wanted(number, cell, snapshots[steps[-1]])
        )
    frames, problems = _draw_groups(list(groups.values()), rules)
    return [
        Strip(shot.episode, steps[number], frames[number]) if number in frames else None
        for number, shot in enumerate(shots)
    ], problems


def _moments(shot: Shot, last: int) -> list[int]:
    """Control steps, at most FRAMES; a policy that failed at once has fewer.

    Around a moment: one second before it to one after, and the end.
    """
    if shot.around is None:
        return sorted({round(t) for t in np.linspace(0, last, FRAMES)})
    try:
        hz = plugins.make_suite(shot.episode.cell.suite).spec.control_hz
    except Exception:  # whatever is wrong with the suite, drawing will say so
        hz = 20.0
    apart = max(1, round(APART_S * hz))
    start = min(max(shot.around - 2 * apart, 0), max(last - (FRAMES - 2) * apart, 0))
    near = [start + number * apart for number in range(FRAMES - 1)]
    # Near either end of the episode the moment is not in the middle; it must be seen all the same.
    near[int(np.argmin([abs(step - shot.around) for step in near]))] = shot.around
    return sorted({min(step, last) for step in (*near, last)})


def _draw_groups(
    groups: Sequence[Sequence[_Wanted]], rules: Protocol
) -> tuple[Mapping[int, list[bytes]], list[str]]:
    """Number of the shot -> frames, and one line for each task that could not be drawn."""
    if not groups:
        return {}, []
    spawn = multiprocessing.get_context("spawn")
    workers = min(2, len(groups), os.cpu_count() or 1)
    strangers = set(multiprocessing.active_children())
    frames: dict[int, list[bytes]] = {}
    problems = []
    with ProcessPoolExecutor(workers, spawn, max_tasks_per_child=1) as pool:
        futures = {pool.submit(_draw_task, group, rules): group[0].cell for group in groups}
        try:
            wait(futures, timeout=TASK_SECONDS * len(groups) / workers)
        finally:
            late = [cell for future, cell in futures.items() if not future.done()]
            if late:  # leaving the pool would wait for them for ever
                for child in set(multiprocessing.active_children()) - strangers:
                    child.kill()
        for future, cell in futures.items():
            error = TimeoutError("the simulator hung") if cell in late else future.exception()
            if error is None:
                frames |= future.result()
            else:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                problems.append(f"{cell.suite}/{cell.task_index}: {reason}")
    return frames, problems


def _draw_task(group: Sequence[_Wanted], rules: Protocol) -> dict[int, list[bytes]]:
    """Draw episodes of one task, in a process that has opened no other."""
    first = group[0].cell
    suite = plugins.make_suite(first.suite)
    task = next((t for t in suite.tasks() if t.name == first.task), None)
    if task is None:
        raise LookupError(f"the installed {first.suite} has no task {first.task!r}")
    camera = suite.spec.cameras[0]
    simulator = suite.open(task, rules.rendering)
    drawn = {}
    for wanted in group:
        # Snapshots hold what moves; where fixtures stand is settled by the reset.
        reset(wanted.cell, rules, task.start(wanted.cell.init_state), simulator)
        drawn[wanted.number] = [
            _jpeg(simulator.draw(snapshot, [camera], SIZE)[camera]) for snapshot in wanted.snapshots
        ]
    simulator.close()
    return drawn


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=85)
    return file.getvalue()
