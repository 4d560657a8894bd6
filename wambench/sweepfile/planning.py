"""From a sweep file to a checked :class:`Plan`: every name resolved, every cell listed."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wambench import plugins
from wambench.cells import Cell, CellMaker, PolicyChoice
from wambench.contract import PolicySpec, SuiteSpec, mismatches
from wambench.episode import Setting
from wambench.errors import UserError, did_you_mean
from wambench.policy import Policy
from wambench.protocols import Protocol, protocol
from wambench.suite import InitState, Suite, Task
from wambench.sweepfile.arms import arms
from wambench.sweepfile.choosing import choose, no_repeats
from wambench.sweepfile.schema import SweepFile


@dataclass(frozen=True)
class Placing:
    """How a policy is placed: its processes (None: as many as pay) and the GPUs of each.

    ``num_gpus`` None: as the policy itself says.
    """

    replicas: int | None = 1
    num_gpus: float | None = None


@dataclass(frozen=True)
class Plan:
    """A sweep with every name resolved and every contract checked.

    ``cells`` are ordered by task, init state and seed, policies innermost: the first n of them,
    and any contiguous part, hold the same cells for every policy.
    """

    protocol: Protocol
    choices: Mapping[str, PolicyChoice]  # by label
    policies: Mapping[str, Policy]  # by label, not loaded
    suites: Mapping[str, Suite]
    tasks: Mapping[tuple[str, int], Task]
    cells: Sequence[Cell]
    placing: Mapping[str, Placing] = field(default_factory=dict)  # by label
    notes: Sequence[str] = ()  # what was left out, one line each

    @functools.cached_property
    def process(self) -> Mapping[str, str]:
        """Label -> label of the policy in whose process it is asked.

        Arms that differ in how the policy's time is paid for ask one and the same process.
        """
        first: dict[str, str] = {}
        return {
            label: label if one.timing is None else first.setdefault(one.timing.policy, label)
            for label, one in self.choices.items()
        }

    def setting(self, cell: Cell) -> Setting:
        """Under what one of the cells is run."""
        suite, policy = self.suites[cell.suite].spec, self.policies[cell.policy].spec
        timing = self.choices[cell.policy].timing
        return Setting(self.protocol, suite, policy, self.start(cell), timing)

    def start(self, cell: Cell) -> InitState:
        """Where one of the cells begins."""
        return self.tasks[cell.suite, cell.task_index].start(cell.init_state)


def plan(sweep: SweepFile) -> Plan:
    """Resolve names, check every contract, expand to cells; raises UserError."""
    rules = protocol(sweep.protocol, sweep.protocol_changes)
    installed = plugins.installed(plugins.SUITES)
    for name in sweep.protocol_changes.get("max_steps", ()):
        if name not in installed:
            remedy = did_you_mean(str(name), installed)
            raise UserError(f"protocol_changes: max_steps: unknown suite {name!r}; {remedy}")
    choices: dict[str, PolicyChoice] = {}
    placing: dict[str, Placing] = {}
    for given in sweep.policies:
        label = given.label or given.name
        if label in choices:
            raise UserError(f"policy {label!r} appears twice; give one of them a label of its own")
        choices[label] = PolicyChoice(label, given.name, given.options)
        replicas = None if given.replicas == "auto" else given.replicas
        placing[label] = Placing(replicas, given.num_gpus)
    policies = {label: plugins.make_policy(c.name, c.options) for label, c in choices.items()}
    suites = {name: plugins.make_suite(name) for name in sweep.suites}
    for suite in suites.values():
        check_rules(suite.spec, rules)
        for label, policy in policies.items():
            check_contract(label, policy.spec, suite.spec, rules)

    played_by, left_out = arms(sweep, rules, choices, policies, [s.spec for s in suites.values()])
    placing = {arm: placing[_base(arm, one)] for arm, one in played_by.items()}
    policies = {arm: policies[_base(arm, one)] for arm, one in played_by.items()}
    choices = dict(played_by)

    seeds = rules.seeds if sweep.seeds is None else sweep.seeds
    no_repeats("seeds", seeds)
    places, notes = choose(sweep, suites, rules)
    makers = {
        (label, name): CellMaker(choice, policies[label], rules, suite)
        for label, choice in choices.items()
        for name, suite in suites.items()
    }
    tasks = {(place.suite, place.task.index): place.task for place in places}
    cells = [
        makers[label, place.suite].make(place.task, place.state, seed)
        for place in places
        for seed in seeds
        for label in choices
    ]
    played = {name: suite for name, suite in suites.items() if name in {p.suite for p in places}}
    return Plan(rules, choices, policies, played, tasks, cells, placing, [*left_out, *notes])


def _base(arm: str, choice: PolicyChoice) -> str:
    return choice.timing.policy if choice.timing else arm


def shard(cells: Sequence[Cell], text: str) -> Sequence[Cell]:
    """The part "i/n" (1 <= i <= n) of the cells: contiguous, so that few tasks are opened twice."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise UserError(f"--shard {text!r} is not i/n with 1 <= i <= n; write 2/8 for the second")
    size = len(cells)
    return cells[size * (part - 1) // parts : size * part // parts]


def check_rules(suite: SuiteSpec, rules: Protocol) -> None:
    """Raise UserError for a protocol that makes no sense on a suite."""
    if rules.rendering not in suite.renderings:
        remedy = did_you_mean(rules.rendering, suite.renderings)
        raise UserError(f"{suite.name} has no rendering {rules.rendering!r}; {remedy}")
    if rules.gripper not in suite.grippers:
        raise UserError(
            f"{suite.name} cannot be played with gripper {rules.gripper!r}, which {rules.name} "
            f"has; choose another protocol, or protocol_changes: gripper: {suite.grippers[0]}"
        )
    if suite.render_size not in (None, rules.render_size):
        raise UserError(
            f"{suite.name} is drawn at {suite.render_size} only, {rules.name} draws at "
            f"{rules.render_size}; write protocol_changes: render_size: {list(suite.render_size)}"
        )


def check_contract(label: str, policy: PolicySpec, suite: SuiteSpec, rules: Protocol) -> None:
    """Raise UserError for a policy that does not fit a suite under a protocol."""
    found = mismatches(policy, suite, image_size=rules.image_size, orientation=rules.orientation)
    if found:
        raise UserError(
            f"policy {label!r} does not fit {suite.name} under {rules.name}: {'; '.join(found)}"
        )
