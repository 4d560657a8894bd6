"""The tables of a report as types: every number of the page, and nothing of how it looks.

Missing cells (not run yet, or failed by infrastructure) are in no denominator; policy errors are
in the denominator and count as not successful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.pairing import Comparison
from analysis.report.changes import Changes
from analysis.report.conditions import ConditionRow
from analysis.report.imagined import Imagination
from analysis.report.learning import Age
from analysis.report.robustness import Robustness
from analysis.report.score import Score
from analysis.report.study import Study
from analysis.report.taxonomy import Taxonomy
from analysis.report.thinking import Thinking
from analysis.report.variants import ChanceRow, VariantRow
from analysis.report.wire import WireRow
from analysis.statistics import Interval, Ranks, Standing
from wambench.passport import Passport


@dataclass(frozen=True)
class PolicyRow:
    """A policy over all suites.

    ``suite_mean`` is the unweighted mean of the rates on its suites, None while one of them has no
    episode; its interval knows that tasks differ and is None where there are too few of them.
    """

    policy: str
    paradigm: str
    track: str
    about: str
    score: Score
    suite_mean: float | None
    suite_mean_interval: Interval | None


@dataclass(frozen=True)
class SuiteRow:
    """A policy on one suite."""

    policy: str
    suite: str
    score: Score


@dataclass(frozen=True)
class TaskRow:
    """A policy on one task."""

    policy: str
    suite: str
    task_index: int
    task: str
    instruction: str
    score: Score


@dataclass(frozen=True)
class EffortRow:
    """What a policy's episodes took. Steps are control steps of successful episodes."""

    policy: str
    median_steps: float | None
    fewest_steps: int | None
    most_steps: int | None
    episodes_per_hour: float | None  # of one worker's time, opening of tasks excluded
    stages: Mapping[str, StageTime]


@dataclass(frozen=True)
class StageTime:
    """Mean wall time of one stage; per step means per control step after settling."""

    seconds_per_episode: float
    milliseconds_per_step: float | None


@dataclass(frozen=True)
class TroubleRow:
    """One kind of infrastructure failure."""

    kind: str
    failures: int
    cells: int
    recovered: int  # of these cells, how many have an episode by now


@dataclass(frozen=True)
class FaultRow:
    """One distinct fault of a policy."""

    policy: str
    fault: str
    episodes: int
    example: str


@dataclass(frozen=True)
class Tables:
    """All tables of a report. Policies come best first, everything else in canonical order.

    Where a run has plain and perturbed suites, ``suites``, ``policies`` and all comparisons are of
    plain ones; ``perturbed`` names the others, which ``robustness`` is about.
    Where decisions are paid for, ``thinking`` has every arm; elsewhere one stands for each policy.
    """

    run: str
    protocol: str
    cells: int
    missing: int
    suites: Sequence[str]
    notices: Sequence[str]
    policies: Sequence[PolicyRow]
    by_suite: Sequence[SuiteRow]
    by_task: Sequence[TaskRow]
    comparisons: Sequence[Comparison]
    ranks: Ranks | None
    standing: Standing | None  # of learned policies
    variants: Sequence[VariantRow]
    chance: Sequence[ChanceRow]  # variants against random actions
    conditions: Sequence[ConditionRow]
    learning: Mapping[str, Sequence[Age]]
    effort: Sequence[EffortRow]
    wire: Sequence[WireRow]
    taxonomy: Taxonomy | None
    trouble: Sequence[TroubleRow]
    latest_trouble: Sequence[Mapping[str, str]]
    faults: Sequence[FaultRow]
    passport: Passport | None
    invocations: Sequence[Mapping[str, Any]]
    changes: Changes | None = None  # since another run, if one was named
    attention: Study | None = None  # beside the run, if one was named
    imagined: Imagination | None = None  # beside the run, if one was named
    perturbed: Sequence[str] = ()
    robustness: Sequence[Robustness] = ()
    thinking: Thinking | None = None  # where the world did not wait for policies
