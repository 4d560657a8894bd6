"""Read a store into the tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean, median

from analysis import pairing
from analysis.report import caveats
from analysis.report.conditions import condition_rows
from analysis.report.learning import curves
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
from analysis.report.variants import chance_rows, variant_rows
from analysis.report.verdicts import comparisons, plainest
from analysis.statistics import clustered
from wambench import plugins
from wambench.errors import UserError
from wambench.store import Store, StoredCell

LATEST = 5  # messages of infrastructure failures that are worth reading


def collect(store: Store) -> Tables:
    """Read everything a report tells; raises UserError for a run without cells."""
    cells = store.cells()
    if not cells:
        raise UserError(
            f"{str(store.folder)!r} holds no cells yet; start it with "
            f"wambench sweep FILE --out {store.folder}"
        )
    known = {stored.cell.key: stored for stored in cells}
    by_policy = {
        label: list(group) for label, group in groupby(cells, lambda stored: stored.cell.policy)
    }
    by_suite, by_task = _suite_rows(cells), _task_rows(cells)
    policies = sorted(
        (_policy_row(label, store, by_suite, by_task) for label in by_policy),
        key=lambda row: -1.0 if row.score.rate is None else row.score.rate,
        reverse=True,
    )
    attempts = store.attempts()
    passport, stopping = store.passport(), store.stopping()
    choices = {label: choice for label, (choice, _) in store.policies().items()}
    specs = {label: spec for label, (_, spec) in store.policies().items()}
    order = [row.policy for row in policies]
    asked = pairing.by_policy(cells)
    configs = passport.info.get("policies", {}) if passport else {}
    conditions = condition_rows(
        cells, {row.policy: configs.get(row.policy, {}) for row in policies}
    )
    return Tables(
        run=store.folder.resolve().name,
        protocol=", ".join(sorted({stored.cell.protocol for stored in cells})),
        cells=len(cells),
        missing=sum(stored.outcome is None for stored in cells),
        suites=sorted({stored.cell.suite for stored in cells}),
        notices=caveats.notices(cells, passport, stopping),
        policies=policies,
        by_suite=by_suite,
        by_task=by_task,
        comparisons=comparisons(cells, choices, specs, order, stopping),
        ranks=pairing.rank({label: asked[label] for label in plainest(choices, order)}),
        variants=variant_rows(cells, choices, stopping),
        chance=chance_rows(cells, choices),
        conditions=conditions,
        learning=curves(cells, conditions, choices),
        effort=[_effort_row(row.policy, by_policy[row.policy]) for row in policies],
        taxonomy=taxonomy(store, cells),
        trouble=_trouble_rows(attempts, known),
        latest_trouble=[
            {
                "at": attempt["at"],
                "kind": attempt["kind"],
                "message": attempt["message"],
                "cell": known[attempt["cell_key"]].cell.describe()
                if attempt["cell_key"] in known
                else "a cell no longer asked for",
            }
            for attempt in reversed(attempts[-LATEST:])
        ],
        faults=_fault_rows(cells),
        passport=passport,
        invocations=store.invocations(),
    )


def instructions(suite: str) -> Mapping[tuple[int, str], str]:
    """(Task index, name) -> what the robot is told; empty where the suite is not installed."""
    try:
        tasks = plugins.make_suite(suite).tasks()
    except Exception:  # numbers must not depend on an intact simulator package
        return {}
    return {(task.index, task.name): task.instruction for task in tasks}


def _score(cells: Iterable[StoredCell]) -> Score:
    return Score.of(stored.outcome for stored in cells)


def _suite_rows(cells: Sequence[StoredCell]) -> list[SuiteRow]:
    grouped = groupby(cells, lambda stored: (stored.cell.policy, stored.cell.suite))
    return [SuiteRow(*key, _score(group)) for key, group in grouped]


def _task_rows(cells: Sequence[StoredCell]) -> list[TaskRow]:
    told = {suite: instructions(suite) for suite in {stored.cell.suite for stored in cells}}

    def key(stored: StoredCell) -> tuple[str, str, int, str]:
        return stored.cell.policy, stored.cell.suite, stored.cell.task_index, stored.cell.task

    rows = []
    for (policy, suite, index, task), group in groupby(cells, key):
        instruction = told[suite].get((index, task), task.replace("_", " "))
        rows.append(TaskRow(policy, suite, index, task, instruction, _score(group)))
    return rows


def _policy_row(
    label: str, store: Store, by_suite: Sequence[SuiteRow], by_task: Sequence[TaskRow]
) -> PolicyRow:
    spec = store.policies()[label][1]
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


def _effort_row(label: str, cells: Sequence[StoredCell]) -> EffortRow:
    done = [known for known in cells if known.outcome]
    lengths = [known.steps or 0 for known in done if known.outcome == "success"]
    steps = sum(known.steps or 0 for known in done)
    totals: dict[str, float] = {}
    for known in done:
        for stage, seconds in known.seconds.items():
            totals[stage] = totals.get(stage, 0.0) + seconds
    total = totals.get("total", 0.0)
    return EffortRow(
        policy=label,
        median_steps=median(lengths) if lengths else None,
        fewest_steps=min(lengths, default=None),
        most_steps=max(lengths, default=None),
        episodes_per_hour=3600 * len(done) / total if total else None,
        stages={
            stage: StageTime(seconds / len(done), 1000 * seconds / steps if steps else None)
            for stage, seconds in totals.items()
        },
    )


def _trouble_rows(
    attempts: Sequence[Mapping[str, str]], known: Mapping[str, StoredCell]
) -> list[TroubleRow]:
    by_kind: dict[str, list[str]] = {}
    for attempt in attempts:
        by_kind.setdefault(attempt["kind"], []).append(attempt["cell_key"])
    return [
        TroubleRow(
            kind,
            failures=len(keys),
            cells=len(set(keys)),
            recovered=sum(key in known and known[key].outcome is not None for key in set(keys)),
        )
        for kind, keys in sorted(by_kind.items())
    ]


def _fault_rows(cells: Sequence[StoredCell]) -> list[FaultRow]:
    groups: dict[tuple[str, str], list[StoredCell]] = {}
    for known in cells:
        if known.outcome == "policy_error":
            groups.setdefault((known.cell.policy, known.fault), []).append(known)
    return [
        FaultRow(policy, fault, len(group), group[0].cell.describe())
        for (policy, fault), group in groups.items()
    ]
