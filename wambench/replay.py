"""Run stored cells again and hold every step against what the store remembers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wambench import plugins
from wambench.cells import Cell, CellMaker
from wambench.errors import UserError
from wambench.passport import differences
from wambench.protocols import Protocol
from wambench.store import Store, StoredCell
from wambench.sweepfile import Plan
from wambench.sweeping.driver import run_sweep
from wambench.sweeping.options import SweepOptions
from wambench.sweeping.progress import Reporter
from wambench.trace import Trace


@dataclass(frozen=True)
class Verdict:
    """What a second run of a cell showed.

    Attributes:
        identical: every action and every state equal to the bit, and the same outcome.
        first_difference: the step after which something differs; None if nothing does.
        found: in words.
        same_key: whether the cell is still named by the same key; if not, something that decides
            its result (weights, source, versions) is not what it was.
    """

    cell: Cell
    identical: bool
    first_difference: int | None
    found: str
    same_key: bool


def replay_cells(
    run: Path, stored: Sequence[StoredCell], workers: int, reporter: Reporter
) -> tuple[Sequence[Verdict], Sequence[str]]:
    """Run cells anew, policy and all, in a store that is thrown away.

    Returns:
        A verdict for each cell, and in what the conditions differ from those of the run.

    Raises:
        UserError: a run without passport or traces; a policy or suite that is not there any more.
    """
    with Store.read(run) as store:
        choices = store.policies()
        for one in stored:
            timing = choices[one.cell.policy][0].timing
            if timing is not None and timing.clock == "wall":
                raise UserError(
                    f"{one.cell.policy!r} was paid for by a wall clock, which never comes again; "
                    "replay cells of a frozen or a paying clock"
                )
        traces = {one.cell.key: store.trace(one.cell.key) for one in stored}
        passport = store.passport()
        plan, renamed = _plan(store, stored, store.protocol())
    with tempfile.TemporaryDirectory() as folder, Store.write(Path(folder)) as again:
        with reporter:
            run_sweep(plan, plan.cells, again, SweepOptions(workers=workers), reporter)
        here = again.passport()
        ended = {one.cell.key: one for one in again.cells()}
        verdicts = []
        for one in stored:
            key = renamed[one.cell.key]
            other = ended[key]
            if other.outcome is None:
                verdict = Verdict(one.cell, False, None, "infrastructure failed", False)
            else:
                verdict = _compare(one, traces[one.cell.key], other, again.trace(key))
            verdicts.append(verdict)
        return verdicts, differences(passport, here) if passport and here else []


def _plan(
    store: Store, stored: Sequence[StoredCell], rules: Protocol
) -> tuple[Plan, Mapping[str, str]]:
    """The cells as they are named today, and old key -> new key."""
    every = store.policies()
    labels = list(dict.fromkeys(one.cell.policy for one in stored))
    choices = {label: every[label][0] for label in labels}
    policies = {label: plugins.make_policy(c.name, c.options) for label, c in choices.items()}
    suites = {name: plugins.make_suite(name) for name in sorted({o.cell.suite for o in stored})}
    makers = {
        (label, name): CellMaker(choices[label], policies[label], rules, suites[name])
        for label in labels
        for name in suites
    }
    tasks, cells, renamed = {}, [], {}
    for one in stored:
        old = one.cell
        task = next((t for t in suites[old.suite].tasks() if t.name == old.task), None)
        if task is None:
            raise UserError(
                f"the installed {old.suite} has no task {old.task!r}; install its version"
            )
        tasks[old.suite, task.index] = task
        new = makers[old.policy, old.suite].make(task, old.init_state, old.seed)
        cells.append(new)
        renamed[old.key] = new.key
    return Plan(rules, choices, policies, suites, tasks, cells), renamed


def _compare(one: StoredCell, before: Trace, other: StoredCell, after: Trace) -> Verdict:
    same_key = one.cell.key == other.cell.key
    steps = min(len(before.actions), len(after.actions))
    differs = (before.digests[: steps + 1] != after.digests[: steps + 1]) | np.pad(
        (before.actions[:steps] != after.actions[:steps]).any(axis=1), (1, 0)
    )
    if differs.any():
        step = int(differs.argmax())
        what = "the policy acts otherwise" if _acts_otherwise(before, after, step) else "physics"
        text = f"differs from step {step} of {len(before.actions)} on: {what}"
        return Verdict(one.cell, False, step, text, same_key)
    if len(before.actions) != len(after.actions) or one.outcome != other.outcome:
        text = f"ended otherwise: {other.outcome} after {other.steps}, was {one.outcome}"
        return Verdict(one.cell, False, steps, f"{text} after {one.steps}", same_key)
    return Verdict(one.cell, True, None, f"{one.outcome}, {steps} steps equal to the bit", same_key)


def _acts_otherwise(before: Trace, after: Trace, step: int) -> bool:
    return step > 0 and bool((before.actions[step - 1] != after.actions[step - 1]).any())
