"""Two policies on the same cells: is one better, by how much, and would other tasks agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.equivalence import MARGIN, equivalence
from analysis.statistics.intervals import CONFIDENCE, Interval
from analysis.statistics.score import score_interval
from analysis.statistics.tally import Floats, Outcomes, Tally

RESAMPLES = 10_000
MIN_RESAMPLED = 5
"""Fewer tasks of a suite than this are no sample to resample."""


@dataclass(frozen=True)
class Paired:
    """Two policies on the same cells.

    Attributes:
        cells, tasks: that both finished, and of how many tasks.
        only_first, only_second: cells that one of them solved and the other did not.
        difference: of the success rates, first minus second, on these cells; None without cells.
        interval: of the difference, see :func:`difference_interval`; None without cells.
        bootstrap: the same by resampling whole tasks; None if a suite has too few.
        task_spread: standard deviation over tasks of the true difference; None below two tasks.
        p_cells: exact McNemar test of "neither is better", two-sided; for these very tasks.
        p_tasks: t test over tasks of the same; None below two tasks.
        p_value: the larger of the two, which verdicts use.
        margin: of equivalence.
        p_equivalence: of "they differ by ``margin`` or more".
    """

    cells: int
    tasks: int
    only_first: int
    only_second: int
    difference: float | None
    interval: Interval | None
    bootstrap: Interval | None
    task_spread: float | None
    p_cells: float
    p_tasks: float | None
    p_value: float
    margin: float
    p_equivalence: float


def paired(suites: Outcomes, margin: float = MARGIN) -> Paired:
    """Compare two policies.

    Args:
        suites: per suite, per task, (first succeeded, second succeeded) of every common cell.
        margin: of success rates that count as equivalent.
    """
    tally = Tally.of(suites)
    first, second = int(tally.first), int(tally.second)
    p_cells, several = float(mcnemar(first, second)), tally.tasks > 1
    p_tasks = float(task_test(tally)) if several else None
    return Paired(
        cells=int(tally.total),
        tasks=tally.tasks,
        only_first=first,
        only_second=second,
        difference=float(tally.difference) if tally.tasks else None,
        interval=_floats(difference_interval(tally)) if tally.tasks else None,
        bootstrap=_bootstrap(suites),
        task_spread=float(tally.task_spread) if several else None,
        p_cells=p_cells,
        p_tasks=p_tasks,
        p_value=max(p_cells, p_tasks or 0.0),
        margin=margin,
        p_equivalence=float(equivalence(tally, margin)) if tally.tasks else 1.0,
    )


def mcnemar(first: Any, second: Any) -> Any:
    """Exact two-sided p-value of "neither is better" (McNemar 1947, Psychometrika 12:153-157).

    It takes cells as independent given the pair, which holds for these very tasks only: where a
    policy is better at one task and worse at another by nature, and no better on the whole, it
    finds a difference in 25 % of simulated runs of 40 tasks with 50 cells each.

    Args:
        first: cells that the first alone solved, [...].
        second: cells that the second alone solved, [...].
    """
    several = np.asarray(first) + np.asarray(second)
    return np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(first, second), several, 0.5))


def task_test(tally: Tally) -> Any:
    """Two-sided p-value of "no difference on tasks like these": the t test over tasks, [...].

    With the same number of cells in each task it is the one-sample t test of the tasks'
    differences. Alone it would be too sure of few cells that happen to agree.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = tally.difference / np.sqrt(tally.task_variance)
    return np.where(tally.difference == 0, 1.0, 2 * stats.t.sf(np.abs(t), tally.tasks - 1))


def difference_test(tally: Tally) -> Any:
    """P-value that verdicts use, [...]: the larger of :func:`mcnemar` and :func:`task_test`.

    McNemar's test is not misled by few cells, the t test not by one task that makes all the
    difference; what both reject is rejected.
    """
    p_cells = mcnemar(tally.first, tally.second)
    return np.maximum(p_cells, task_test(tally)) if tally.tasks > 1 else p_cells


def difference_interval(tally: Tally, confidence: float = CONFIDENCE) -> tuple[Any, Any]:
    """Differences that Tango's score test over cells or the t test over tasks allows: [...] each.

    Both, as in :func:`difference_test`: one knows that cells are few, the other that tasks differ.
    """
    tail = (1 + confidence) / 2
    low, high = score_interval(tally.first, tally.second, tally.total, stats.norm.ppf(tail))
    if tally.tasks > 1:
        error = stats.t.ppf(tail, tally.tasks - 1) * np.sqrt(tally.task_variance)
        low = np.maximum(-1, np.minimum(low, tally.difference - error))
        high = np.minimum(1, np.maximum(high, tally.difference + error))
    return low, high


def _bootstrap(suites: Outcomes, confidence: float = CONFIDENCE) -> Interval | None:
    """Interval of the difference, whole tasks resampled within each suite.

    Field & Welsh 2007, JRSS-B 69:369-390; percentiles are moved out as few tasks ask for
    (Hesterberg 2015, The American Statistician 69:371-386). The draws are seeded:
    equal input, equal answer.
    """
    tallies = [tally for suite in suites if (tally := Tally.of([suite])).tasks]
    if not tallies or min(tally.tasks for tally in tallies) < MIN_RESAMPLED:
        return None
    gained, counted = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    for place, tally in enumerate(tallies):
        drawn = _draws(tally.tasks, place)
        gained += drawn @ (tally.only_first - tally.only_second)
        counted += drawn @ tally.cells
    narrow = np.mean([tally.tasks / (tally.tasks - 1) for tally in tallies])
    freedom = sum(tally.tasks - 1 for tally in tallies)
    tail = stats.norm.cdf(-np.sqrt(narrow) * stats.t.ppf((1 + confidence) / 2, freedom))
    low, high = np.quantile(gained / counted, [tail, 1 - tail])
    return float(low), float(high)


def _floats(ends: tuple[Any, Any]) -> Interval:
    return float(ends[0]), float(ends[1])


@lru_cache(maxsize=8)
def _draws(tasks: int, seed: int) -> Floats:
    """How often each task is drawn: [RESAMPLES, tasks]."""
    random = np.random.default_rng(seed)
    return random.multinomial(tasks, [1 / tasks] * tasks, size=RESAMPLES).astype(float)
