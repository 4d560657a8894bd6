"""Which stored episodes are looked at, and where their policies looked themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.attention.scenes import Course, Looking, Stored, check
from analysis.attention.study import Arm
from wambench import plugins
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.episode import Setting
from wambench.errors import UserError, did_you_mean
from wambench.passport import Passport
from wambench.policy import Policy
from wambench.protocols import Protocol
from wambench.store import Store, StoredCell
from wambench.suite import Suite, Task

ENDED: Sequence[str] = ("success", "failure")  # of a robot; a policy's error tells of its code


@dataclass(frozen=True)
class Wanted:
    """Filters; empty: all. ``outcome``: of the episodes."""

    policies: Sequence[str] = ()
    suites: Sequence[str] = ()
    tasks: Sequence[int] = ()
    init_states: Sequence[int] = ()
    outcome: Literal["success", "failure", ""] = ""

    def of(self, store: Store) -> Sequence[StoredCell]:
        """The episodes, in canonical order; UserError for an unknown name, or if there are none."""
        cells = store.cells()
        for what, named, known in (
            ("policy", self.policies, {one.cell.policy for one in cells}),
            ("suite", self.suites, {one.cell.suite for one in cells}),
        ):
            for name in named:
                if name not in known:
                    raise UserError(
                        f"no {what} {name!r} in {str(store.folder)!r}; {did_you_mean(name, known)}"
                    )
        found = [one for one in cells if self._fits(one)]
        if not found:
            what = {"success": "succeeded", "failure": "failed"}.get(self.outcome, "ended")
            raise UserError(
                f"no episode of {str(store.folder)!r} that fits has {what}; name other policies, "
                "suites, tasks or initial states, or leave them out"
            )
        return found

    def _fits(self, one: StoredCell) -> bool:
        cell = one.cell
        return (
            one.outcome in ([self.outcome] if self.outcome else ENDED)
            and (not self.policies or cell.policy in self.policies)
            and (not self.suites or cell.suite in self.suites)
            and (not self.tasks or cell.task_index in self.tasks)
            and (not self.init_states or cell.init_state in self.init_states)
        )


@dataclass(frozen=True)
class Group:
    """Episodes of one policy on one task.

    Attributes:
        arm: the policy as its run chose it.
        looking: at every step at which it looked itself.
        stored: the episodes.
        courses: the same, to be taken again.
    """

    arm: Arm
    looking: Looking
    stored: Sequence[StoredCell]
    courses: Sequence[Course]


@dataclass(frozen=True)
class Chosen:
    """What is asked.

    Attributes:
        groups: those of one policy one after the other.
        left_out: one line for each policy, or part of it, of which nothing is shown.
        changed: policy -> in what it is not what its run had.
    """

    rules: Protocol
    groups: Sequence[Group]
    left_out: Sequence[str]
    changed: Mapping[str, Sequence[str]]


def choose(store: Store, wanted: Wanted) -> Chosen:
    """Read the courses of the episodes that are wanted.

    Raises:
        UserError: a run that was imported, or is kept without courses; no episode that fits; no
            policy with attention; a task, policy or suite that is not there any more.
    """
    rules, passport = store.protocol(), store.passport()
    assert passport is not None
    cells = wanted.of(store)
    store.trace(cells[0].cell.key)  # a run without courses says so before all else
    choices = store.policies()
    groups, left_out, changed = [], [], {}
    for label in dict.fromkeys(one.cell.policy for one in cells):
        own = [one for one in cells if one.cell.policy == label]
        choice = choices[label][0]
        policy = plugins.make_policy(choice.name, choice.options)
        problem = _unfit(choice, policy)
        if problem:
            left_out.append(f"{label}: {problem}")
            continue
        made = list(_groups(store, rules, choice, policy, own))
        looked = [group for group in made if _looked_as_meant(group)]
        if len(looked) < len(made):
            left_out.append(
                f"{label}: {len(made) - len(looked)} of {len(made)} tasks, in which it answered "
                "with shorter chunks than it declares, so that nobody knows when it looked"
            )
        groups += looked
        if looked and (lines := _changed(passport, choice, policy)):
            changed[label] = lines
    if not groups:
        raise UserError(f"nothing to show of {str(store.folder)!r}: {'; '.join(left_out)}")
    return Chosen(rules, groups, left_out, changed)


def _unfit(choice: PolicyChoice, policy: Policy) -> str:
    """Why a policy is left out; empty if it is not."""
    if policy.spec.track == "scripted" or type(policy).inference is Policy.inference:
        return "it has no action tokens whose attention could be shown"
    if type(policy).reset is not Policy.reset:
        return "it remembers its episode, and cannot be asked in the middle of one"
    if choice.timing is not None:
        return "its decisions were paid for, so that it looked at other steps"
    return "; ".join(policy.obstacles())


def _groups(
    store: Store, rules: Protocol, choice: PolicyChoice, policy: Policy, own: Sequence[StoredCell]
) -> Iterator[Group]:
    """By task."""
    arm = Arm(choice.label, choice.name, dict(choice.options))
    for place in dict.fromkeys((one.cell.suite, one.cell.task) for one in own):
        stored = [one for one in own if (one.cell.suite, one.cell.task) == place]
        suite = plugins.make_suite(place[0])
        task = _task(suite, place[1])
        setting = Setting(rules, suite.spec, policy.spec, task.start(stored[0].cell.init_state))
        looking = looking_of(rules, policy.spec, setting.replan_steps)
        courses = [_course(store, one, task.index) for one in stored]
        check(courses, looking)
        yield Group(arm, looking, stored, courses)


def looking_of(rules: Protocol, spec: PolicySpec, stride: int) -> Looking:
    """A policy's own moments: every ``stride`` steps, its executed chunk."""
    return Looking(rules, spec, stride=stride, ahead=spec.horizon)


def _course(store: Store, one: StoredCell, task_index: int) -> Course:
    cell, trace = one.cell, store.trace(one.cell.key)
    stored = Stored(cell.key, trace.digests, one.outcome == "failure")
    return Course(
        cell.suite, task_index, cell.init_state, cell.seed, actions=trace.actions, stored=stored
    )


def _task(suite: Suite, name: str) -> Task:
    found = next((task for task in suite.tasks() if task.name == name), None)
    if found is None:
        raise UserError(
            f"the installed {suite.spec.name} has no task {name!r}; install its version"
        )
    return found


def _looked_as_meant(group: Group) -> bool:
    """Whether the run counted as many looks as there are multiples of the executed chunk."""
    stride = group.looking.stride
    return all(one.looks == -(-(one.steps or 0) // stride) for one in group.stored)


def _changed(passport: Passport, choice: PolicyChoice, policy: Policy) -> Sequence[str]:
    """In what of its fingerprint a policy is not what the run had."""
    then = passport.fingerprint.get(f"policy:{choice.label}", {})
    identity = choice.identity(policy)
    now = {
        "version": identity["spec"]["version"], "source": identity["source"],
        **identity["fingerprint"],
    }  # fmt: skip
    return sorted(name for name, value in now.items() if then.get(name) != value)
