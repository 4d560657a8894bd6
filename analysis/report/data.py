"""Read a store into the tables of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import fmean, median

from analysis import pairing
from analysis.report import caveats
from analysis.report.conditions import condition_rows
from analysis.report.effort import Effort, efforts
from analysis.report.learning import curves
from analysis.report.robustness import robustness
from analysis.report.score import Score
from analysis.report.tables import (
    EffortRow,
    FaultRow,
    PolicyRow,
    StageTime,
    SuiteRow,
    Tables,
    TaskRow,
    TroubleRow,
)
from analysis.report.taxonomy import taxonomy
from analysis.report.thinking import notices, representatives, thinking
from analysis.report.variants import chance_rows, variant_rows
from analysis.report.verdicts import comparisons, plainest
from analysis.report.wire import marked, wire_rows
from analysis.statistics import clustered
from wambench import plugins
from wambench.contract import PolicySpec
from wambench.errors import UserError
from wambench.stopping import Stopping
from wambench.store import Count, Store, counts, faults, outcomes_frame, troubles
from wambench.suite import Factors

LATEST = 5  # messages of infrastructure failures that are worth reading


def collect(store: Store) -> Tables:
    """Read everything a report tells; raises UserError for a run without cells."""
    cells = counts(store)
    if not cells:
        raise UserError(
            f"{str(store.folder)!r} holds no cells yet; start it with "
            f"wambench sweep FILE --out {store.folder}"
        )
    known = store.policies()
    specs = {label: spec for label, (_, spec) in known.items()}
    choices = {label: choice for label, (choice, _) in known.items()}
    shown = representatives(choices, list(dict.fromkeys(count.policy for count in cells)))
    of_shown = [count for count in cells if count.policy in shown]
    by_suite, by_task = _suite_rows(of_shown), _task_rows(of_shown)
    passport, stopping = store.passport(), store.stopping()
    factors, outcomes = store.factors(), outcomes_frame(store)
    suites = sorted({count.suite for count in cells})
    apart = _perturbed(suites, factors, stopping)
    plain_suites = [row for row in by_suite if row.suite not in apart]
    policies = sorted(
        (_policy_row(label, specs[label], plain_suites, by_task) for label in shown),
        key=lambda row: -1.0 if row.score.rate is None else row.score.rate,
        reverse=True,
    )
    order = [row.policy for row in policies]
    every, took = pairing.asked_of(outcomes), efforts(store)
    whole = every[~every.index.get_level_values("suite").isin(apart)] if apart else every
    asked = whole[[label for label in whole if label in shown]]
    plain_cells = [count for count in cells if count.suite not in apart]
    paid = thinking(store, plain_cells, choices, whole, stopping)
    configs = passport.info.get("policies", {}) if passport else {}
    conditions = condition_rows(took, {label: configs.get(label, {}) for label in order})
    wire = wire_rows(store, order, passport)
    remote = {row.policy for row in wire}
    found = robustness(outcomes, factors, choices, specs, order)
    return Tables(
        run=store.folder.resolve().name,
        protocol=", ".join(sorted({count.protocol for count in cells})),
        cells=sum(count.cells for count in cells),
        missing=sum(count.cells for count in cells if count.outcome is None),
        suites=[suite for suite in suites if suite not in apart],
        notices=[
            *caveats.notices(cells, every, passport, stopping),
            *caveats.lacking(found),
            *(notices(paid, shown) if paid else ()),
        ],
        policies=policies,
        by_suite=by_suite,
        by_task=by_task,
        comparisons=comparisons(asked, choices, specs, order, stopping),
        ranks=pairing.rank(asked[list(plainest(choices, order))]),
        variants=variant_rows(asked, choices, stopping),
        chance=chance_rows(asked, choices),
        conditions=conditions,
        learning=curves(asked, conditions, choices),
        effort=[_effort_row(label, took.get(label, Effort()), label in remote) for label in order],
        wire=wire,
        taxonomy=taxonomy(store, shown),
        trouble=[TroubleRow(*one[:4]) for one in troubles(store)],
        latest_trouble=_latest_trouble(store),
        faults=_fault_rows(store),
        passport=passport,
        invocations=store.invocations(),
        perturbed=apart,
        robustness=found,
        thinking=paid,
    )


def _perturbed(
    suites: Sequence[str],
    factors: Mapping[tuple[str, str, int], Factors],
    stopping: Stopping | None,
) -> Sequence[str]:
    """Suites to tell of apart: perturbed ones, where there are plain ones beside them.

    A run that a rule ended was judged on all its cells together, and is told so.
    """
    varied = {suite for suite, _, _ in factors}
    found = [suite for suite in suites if suite in varied]
    return found if len(found) < len(suites) and stopping is None else []


def instructions(suite: str) -> Mapping[tuple[int, str], str]:
    """(Task index, name) -> what the robot is told; empty where the suite is not installed."""
    try:
        tasks = plugins.make_suite(suite).tasks()
    except Exception:  # numbers must not depend on an intact simulator package
        return {}
    return {(task.index, task.name): task.instruction for task in tasks}


def _suite_rows(cells: Sequence[Count]) -> list[SuiteRow]:
    grouped = groupby(cells, lambda count: (count.policy, count.suite))
    return [SuiteRow(*key, Score.of(group)) for key, group in grouped]


def _task_rows(cells: Sequence[Count]) -> list[TaskRow]:
    told = {suite: instructions(suite) for suite in {count.suite for count in cells}}

    def key(count: Count) -> tuple[str, str, int, str]:
        return count.policy, count.suite, count.task_index, count.task

    rows = []
    for (policy, suite, index, task), group in groupby(cells, key):
        instruction = told[suite].get((index, task), task.replace("_", " "))
        rows.append(TaskRow(policy, suite, index, task, instruction, Score.of(group)))
    return rows


def _policy_row(
    label: str, spec: PolicySpec, by_suite: Sequence[SuiteRow], by_task: Sequence[TaskRow]
) -> PolicyRow:
    scores = {row.suite: row.score for row in by_suite if row.policy == label}
    rates = [score.rate for score in scores.values() if score.rate is not None]
    every = len(rates) == len(scores)  # else the mean would be of other suites than it seems
    tasks = [
        [
            (row.score.successes, row.score.episodes)
            for row in by_task
            if (row.policy, row.suite) == (label, suite) and row.score.episodes
        ]
        for suite in scores
    ]
    return PolicyRow(
        policy=label,
        paradigm=spec.paradigm,
        track=spec.track,
        about=spec.about,
        score=Score.pooled(scores.values()),
        suite_mean=fmean(rates) if every else None,
        suite_mean_interval=clustered(tasks) if every else None,
    )


def _effort_row(label: str, took: Effort, is_remote: bool) -> EffortRow:
    total = took.seconds.get("total", 0.0)
    return EffortRow(
        policy=label,
        median_steps=median(took.lengths) if took.lengths else None,
        fewest_steps=min(took.lengths, default=None),
        most_steps=max(took.lengths, default=None),
        episodes_per_hour=3600 * took.episodes / total if total else None,
        stages={
            stage: StageTime(
                seconds / took.episodes, 1000 * seconds / took.steps if took.steps else None
            )
            for stage, seconds in marked(took.seconds, is_remote).items()
        },
    )


def _latest_trouble(store: Store) -> list[Mapping[str, str]]:
    latest = store.attempts(LATEST)
    known = {one.cell.key: one.cell for one in store.cells({row["cell_key"] for row in latest})}
    return [
        {
            "at": attempt["at"],
            "kind": attempt["kind"],
            "message": attempt["message"],
            "cell": known[attempt["cell_key"]].describe()
            if attempt["cell_key"] in known
            else "a cell no longer asked for",
        }
        for attempt in reversed(latest)
    ]


def _fault_rows(store: Store) -> list[FaultRow]:
    found = faults(store)
    first = {one.cell.key: one.cell for one in store.cells(fault.first for fault in found)}
    return [
        FaultRow(one.policy, one.fault, one.episodes, first[one.first].describe()) for one in found
    ]
