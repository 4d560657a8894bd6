"""Which episodes of a run go into a data set, and which number each of them has there.

Everything that decides a file is known before the first frame is drawn, so that an export that
was stopped goes on, and the same export made twice gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wambench import plugins
from wambench.cells import Cell
from wambench.contract import Frozen, SuiteSpec
from wambench.errors import UserError
from wambench.lerobot.features import ORIENTATION, features
from wambench.protocols import Protocol
from wambench.store import Store, StoredCell
from wambench.suite import Task

LAYOUT_VERSION = 1  # raised when the same episodes and options would make other files

Outcome = Literal["success", "failure", "all"]
"""``failure``: all that did not succeed, policy errors too."""


class Look(Frozen):
    """How frames are drawn: side in pixels, and one of the suite's presets (None: the run's)."""

    size: int = 256
    rendering: str | None = None


@dataclass(frozen=True)
class Entry:
    """One episode of the data set; ``start`` is the number of its first row among all rows."""

    index: int
    start: int
    cell: Cell
    outcome: str
    steps: int
    instruction: str
    task_index: int


@dataclass(frozen=True)
class Plan:
    """A data set to be written.

    Attributes:
        suite: what all suites of the episodes have in common is read from this one.
        tasks: (suite, name) -> task.
        instructions: by ``task_index``.
        origin: what the files are made from; JSON.
    """

    rules: Protocol
    look: Look
    rendering: str
    suite: SuiteSpec
    tasks: Mapping[tuple[str, str], Task]
    instructions: Sequence[str]
    entries: Sequence[Entry]
    origin: Mapping[str, Any]


def plan(store: Store, chosen: Sequence[StoredCell], outcome: Outcome, look: Look) -> Plan:
    """Number the episodes that are wanted.

    Args:
        store: the run.
        chosen: finished cells in canonical order.
        outcome: of those to take.
        look: of the frames.

    Raises:
        UserError: no episode is left, they do not fit into one data set, or what they were run on
            is not installed.
    """
    kept = [one for one in chosen if one.steps and _wanted(one, outcome)]
    if not kept:
        ended = {"success": "succeeded", "failure": "failed", "all": "has a step"}[outcome]
        raise UserError(
            f"none of the {len(chosen)} episodes chosen of {str(store.folder)!r} {ended}; "
            "there is nothing to export"
        )
    store.trace(kept[0].cell.key)  # a light run has none: say so before anything is made
    rules = store.protocol()
    rendering = look.rendering or rules.rendering
    specs = _specs(kept, look, rendering)
    tasks = _tasks(kept)
    starts = [tasks[one.cell.suite, one.cell.task].start(one.cell.init_state) for one in kept]
    spoken = [start.told(rules.instructions) for start in starts]
    numbers = {words: number for number, words in enumerate(dict.fromkeys(spoken))}
    entries, start = [], 0
    for index, (one, words) in enumerate(zip(kept, spoken, strict=True)):
        steps = one.steps or 0
        ended = one.outcome or ""
        entries.append(Entry(index, start, one.cell, ended, steps, words, numbers[words]))
        start += steps
    passport = store.passport()
    origin = {
        "layout": LAYOUT_VERSION,
        "passport": passport.id if passport else None,
        "protocol": rules.name,
        "rendering": rendering,
        "orientation": ORIENTATION,
        "size": look.size,
        "cells": [entry.cell.key for entry in entries],
    }
    return Plan(rules, look, rendering, specs[0], tasks, list(numbers), entries, origin)


def _wanted(one: StoredCell, outcome: Outcome) -> bool:
    return outcome == "all" or (one.outcome == "success") == (outcome == "success")


def _specs(kept: Sequence[StoredCell], look: Look, rendering: str) -> list[SuiteSpec]:
    """Of all suites, which must fit into one data set and be able to draw."""
    names = sorted({one.cell.suite for one in kept})
    specs = [plugins.make_suite(name).spec for name in names]
    for spec in specs:
        if rendering not in spec.renderings:
            known = " or ".join(spec.renderings)
            raise UserError(f"{spec.name} has no rendering {rendering!r}; name {known}")
        if features(spec, look.size) != features(specs[0], look.size):
            raise UserError(
                f"{specs[0].name} and {spec.name} have other cameras, states, actions or rates, "
                f"and a data set holds one kind; export them apart with --suite {spec.name}"
            )
    return specs


def _tasks(kept: Sequence[StoredCell]) -> dict[tuple[str, str], Task]:
    installed = {
        (name, task.name): task
        for name in {one.cell.suite for one in kept}
        for task in plugins.make_suite(name).tasks()
    }
    wanted = dict.fromkeys((one.cell.suite, one.cell.task) for one in kept)
    for suite, task in wanted:
        if (suite, task) not in installed:
            raise UserError(f"the installed {suite} has no task {task!r}; install its version")
    return {name: installed[name] for name in wanted}
