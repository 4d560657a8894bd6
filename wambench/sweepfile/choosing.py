"""Which initial states of which tasks a sweep file asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wambench.cells import digest_of
from wambench.errors import UserError, did_you_mean
from wambench.protocols import Protocol
from wambench.suite import Suite, Task
from wambench.sweepfile.schema import ALL, Sample, SweepFile

GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples, modulo 1, fill the unit interval most evenly


class Place(NamedTuple):
    """One initial state of one task."""

    suite: str
    task: Task
    state: int


def choose(
    sweep: SweepFile, suites: Mapping[str, Suite], rules: Protocol
) -> tuple[Sequence[Place], Sequence[str]]:
    """List the places that a sweep file asks for, in its order, and say what is left out.

    Raises UserError for a task or state that does not exist, or that is named though locked.
    """
    found: dict[str, list[Place]] = {}
    pool: list[Place] = []
    notes: list[str] = []
    for name, suite in suites.items():
        choice = sweep.choice(name)
        tasks = _tasks(suite, choice.tasks)
        wanted = sweep.init_states if choice.init_states is None else choice.init_states
        if isinstance(wanted, list):
            found[name] = [
                Place(name, t, state) for t in tasks for state in _named(name, t, wanted)
            ]
            continue
        trials = None if wanted is not None else rules.trials
        everything = [Place(name, t, s) for t in tasks for s in _runnable(name, t, trials)]
        notes += _left_out(suite, tasks)
        if not isinstance(wanted, Sample):
            found[name] = everything
        elif choice.init_states is not None:
            found[name] = sample(wanted, everything)
        else:
            pool += everything
    if pool:
        assert isinstance(sweep.init_states, Sample)
        for place in sample(sweep.init_states, pool):
            found.setdefault(place.suite, []).append(place)
    return [place for name in suites for place in found.get(name, ())], notes


def sample(wanted: Sample, places: Sequence[Place]) -> list[Place]:
    """Draw places, which keep their order, in proportion to how many there are of each kind.

    Places are put on a line by what the sample is taken ``by``, and by lot where that is equal;
    then multiples of the golden ratio walk over it. Any stretch of the line, such as an axis or
    half of its magnitudes, gets its share to within a few, and a longer walk goes on from where a
    shorter one ended.
    """
    if wanted.sample > len(places):
        raise UserError(
            f"init_states: sample: {wanted.sample} is more than the {len(places)} initial states "
            f"that can be run; name at most {len(places)}, or all"
        )
    line = sorted(range(len(places)), key=lambda number: _order(wanted, places[number]))
    start = int(digest_of(["sample", wanted.seed])[:8], 16) / 2**32
    taken: set[int] = set()
    steps = 0
    while len(taken) < wanted.sample:
        taken.add(line[int(len(line) * ((start + steps * GOLDEN) % 1.0))])
        steps += 1
    return [places[number] for number in sorted(taken)]


def _order(wanted: Sample, place: Place) -> tuple[object, ...]:
    factors = place.task.start(place.state).factors
    kind = factors.kind if factors else ""
    magnitude = -math.inf if factors is None or factors.magnitude is None else factors.magnitude
    values: Mapping[str, tuple[object, ...]] = {
        "axis": (factors.axis if factors else "",),
        "kind": (kind,),
        "magnitude": (kind, magnitude),  # those of two kinds are in different units
        "suite": (place.suite,),
        "task": (place.suite, place.task.index),
    }
    lot = digest_of([wanted.seed, place.suite, place.task.name, place.state])
    return (*(value for name in wanted.by for value in values[name]), lot)


def no_repeats(name: str, values: Iterable[int | str]) -> None:
    """Raise UserError for a value that appears twice, and for none at all."""
    seen: set[int | str] = set()
    for value in values:
        if value in seen:
            raise UserError(f"{name}: {value} appears twice; name each once")
        seen.add(value)
    if not seen:
        raise UserError(f"{name} is empty; name at least one")


def _named(suite: str, task: Task, wanted: Sequence[int]) -> Sequence[int]:
    no_repeats("init_states", wanted)
    for state in wanted:
        _check(suite, task, state)
        if lock := task.lock(state):
            raise UserError(f"{suite}/{task.index} init state {state} is locked: {lock}")
    return wanted


def _runnable(suite: str, task: Task, trials: int | None) -> Sequence[int]:
    """All that can be run; of a task whose states are trials of one thing the first ``trials``."""
    if trials is None or task.locked or (task.named and not task.alike):
        return task.open_states
    _check(suite, task, min(trials - 1, task.init_states))
    return [state for state in task.open_states if state < trials]


def _check(suite: str, task: Task, state: int) -> None:
    if state < task.init_states:
        return
    has = f"{task.init_states} (0-{task.init_states - 1})" if task.init_states else "none"
    why = f": it is locked: {task.locked}" if task.locked else ""
    raise UserError(f"init state {state} is out of range: {suite}/{task.index} has {has}{why}")


def _left_out(suite: Suite, tasks: Sequence[Task]) -> Iterable[str]:
    """Say what of these tasks cannot be run; raises UserError if that is all of them."""
    name = suite.spec.name
    locks = [lock for task in tasks for lock in task.locks]
    if not any(task.open_states for task in tasks):
        raise UserError(f"{name} is locked: {locks[0] if locks else 'it has no initial states'}")
    every = sum(task.init_states for task in tasks)
    for lock in dict.fromkeys(locks):
        yield f"{name}: {locks.count(lock)} of {every} initial states are left out: {lock}"


def _tasks(suite: Suite, wanted: Sequence[int | str]) -> Sequence[Task]:
    """Tasks by index or name, or ["all"]."""
    tasks = suite.tasks()
    if wanted == [ALL]:
        return tasks
    by_name: dict[int | str, Task] = {task.name: task for task in tasks}
    by_name |= {task.index: task for task in tasks}
    for name in wanted:
        if name not in by_name:
            remedy = (
                f"it has tasks 0-{len(tasks) - 1}"
                if isinstance(name, int)
                else did_you_mean(str(name), [task.name for task in tasks])
            )
            raise UserError(f"{suite.spec.name} has no task {name!r}; {remedy}")
    chosen = [by_name[name] for name in wanted]
    no_repeats(f"suites.{suite.spec.name}", (task.index for task in chosen))
    return chosen
