"""Episodes of the scripted expert, for policies that are asked without a run of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.imagination.moments import Episode, at_start
from wambench import plugins
from wambench.cells import Cell, digest_of
from wambench.contract import EXPERT_ACTION, PolicySpec, SuiteSpec, mismatches
from wambench.episode import run_episode
from wambench.errors import UserError
from wambench.policy_server import LocalClient
from wambench.protocols import Protocol

EXPERT = "expert"


@dataclass(frozen=True)
class Place:
    """Where an episode begins."""

    suite: str
    task_index: int
    init_state: int


def check(places: Sequence[Place], label: str, spec: PolicySpec, rules: Protocol) -> None:
    """Raise UserError, before work starts, for places that do not exist or do not fit a policy."""
    for place in places:
        suite = plugins.make_suite(place.suite)
        tasks = suite.tasks()
        if not place.task_index < len(tasks):
            raise UserError(
                f"--task {place.task_index}: {place.suite} has tasks 0-{len(tasks) - 1}; name one"
            )
        states = tasks[place.task_index].init_states
        if not place.init_state < states:
            raise UserError(
                f"--init {place.init_state}: {place.suite}/{place.task_index} has initial states "
                f"0-{states - 1}; name one"
            )
        if EXPERT_ACTION not in suite.spec.privileged:
            raise UserError(
                f"--suite {place.suite!r} has no scripted expert; take the moments of a run"
            )
        _check_fits(label, spec, suite.spec, rules)


def _check_fits(label: str, spec: PolicySpec, suite: SuiteSpec, rules: Protocol) -> None:
    found = mismatches(spec, suite, image_size=rules.image_size, orientation=rules.orientation)
    if found:
        raise UserError(f"policy {label!r} {found[0]}; choose another --suite or --protocol")


def led(places: Sequence[Place], rules: Protocol) -> list[Episode]:
    """The expert's episodes from places of one task, in the process of a simulator."""
    guide = plugins.make_policy(EXPERT, {})
    guide.load()
    out = []
    for place in places:
        suite = plugins.make_suite(place.suite)
        task = suite.tasks()[place.task_index]
        key = digest_of([EXPERT, place.suite, task.name, place.init_state])
        cell = Cell(
            key, EXPERT, rules.name, place.suite, task.index, task.name, place.init_state, 0
        )
        simulator, setting = at_start(cell, rules, guide.spec)
        record = run_episode(cell, setting, simulator, LocalClient(guide))
        out.append(Episode(cell, str(record.outcome), record.trace))
    return out
