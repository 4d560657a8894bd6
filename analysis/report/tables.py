"""The tables of a report as types: every number of the page, and nothing of how it looks.

Missing cells (not run yet, or failed by infrastructure) are in no denominator; policy errors are
in the denominator and count as not successful.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.report.pairs import PairRow
from analysis.statistics import Interval, wilson
from wambench.passport import Passport


@dataclass(frozen=True)
class Score:
    """How a group of cells ended. ``rate``, ``low`` and ``high`` (95 %, Wilson) are 0 to 1."""

    successes: int
    episodes: int
    policy_errors: int
    missing: int
    rate: float | None  # None: no episodes
    low: float
    high: float

    @classmethod
    def of(cls, outcomes: Iterable[str | None]) -> Score:
        """Count outcomes; None is a missing cell."""
        counts = Counter(outcomes)
        missing = counts.pop(None, 0)
        return cls._make(counts["success"], counts.total(), counts["policy_error"], missing)

    @classmethod
    def pooled(cls, scores: Iterable[Score]) -> Score:
        """Add up several scores."""
        parts = list(scores)
        return cls._make(
            sum(part.successes for part in parts),
            sum(part.episodes for part in parts),
            sum(part.policy_errors for part in parts),
            sum(part.missing for part in parts),
        )

    @classmethod
    def _make(cls, successes: int, episodes: int, policy_errors: int, missing: int) -> Score:
        rate = successes / episodes if episodes else None
        low, high = wilson(successes, episodes)
        return cls(successes, episodes, policy_errors, missing, rate, low, high)


@dataclass(frozen=True)
class PolicyRow:
    """A policy over all suites.

    ``suite_mean`` is the unweighted mean of the rates on its suites, None while one of them has no
    episode; its interval resamples tasks and is None where there are too few of them.
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
    """All tables of a report. Policies come best first, everything else in canonical order."""

    run: str
    protocol: str
    cells: int
    missing: int
    suites: Sequence[str]
    notices: Sequence[str]
    policies: Sequence[PolicyRow]
    by_suite: Sequence[SuiteRow]
    by_task: Sequence[TaskRow]
    pairs: Sequence[PairRow]
    effort: Sequence[EffortRow]
    trouble: Sequence[TroubleRow]
    latest_trouble: Sequence[Mapping[str, str]]
    faults: Sequence[FaultRow]
    passport: Passport | None
    invocations: Sequence[Mapping[str, Any]]
