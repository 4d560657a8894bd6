"""Two policies on the same cells, counted by task: all that the comparison of outcomes needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.intervals import ratio_variance

Floats = NDArray[np.float64]
Outcomes = Sequence[Sequence[Sequence[tuple[bool, bool]] | NDArray[np.bool_]]]
"""Per suite, per task, (first succeeded, second succeeded) of every cell that both finished."""


@dataclass(frozen=True)
class Tally:
    """Counts of shape [..., tasks]; axes in front are independent comparisons, for simulations.

    Attributes:
        only_first, only_second: cells that one of the two solved and the other did not.
        cells: that both finished; at least one of each task.
    """

    only_first: Floats
    only_second: Floats
    cells: Floats

    @classmethod
    def of(cls, suites: Outcomes) -> Tally:
        """Count; tasks without a cell are left out."""
        tasks = [np.asarray(task, dtype=bool) for suite in suites for task in suite if len(task)]
        counts = [[(a & ~b).sum(), (b & ~a).sum(), len(a)] for a, b in (task.T for task in tasks)]
        return cls(*np.array(counts, dtype=float).reshape(-1, 3).T)

    @property
    def tasks(self) -> int:
        """How many."""
        return self.cells.shape[-1]

    @cached_property
    def total(self) -> Floats:
        """Cells, [...]."""
        return self.cells.sum(axis=-1)

    @cached_property
    def first(self) -> Floats:
        """Cells that the first alone solved, [...]."""
        return self.only_first.sum(axis=-1)

    @cached_property
    def second(self) -> Floats:
        """Cells that the second alone solved, [...]."""
        return self.only_second.sum(axis=-1)

    @cached_property
    def difference(self) -> Floats:
        """Of the success rates, first minus second, [...]."""
        return (self.first - self.second) / self.total

    @cached_property
    def cell_variance(self) -> Floats:
        """Variance of the difference if cells were independent, [...]."""
        return ((self.first + self.second) / self.total - self.difference**2) / self.total

    @cached_property
    def task_variance(self) -> Floats:
        """Variance of the difference when whole tasks are drawn, [...]; needs two tasks."""
        return ratio_variance(self.only_first - self.only_second, self.cells)

    @cached_property
    def task_spread(self) -> Floats:
        """Standard deviation over tasks of the difference that a policy truly has there, [...].

        What the variance between tasks leaves when that of the cells within them is taken off;
        0 where nothing is left, or where no task has two cells.
        """
        spare = self.total - self.tasks
        gains = self.only_first - self.only_second
        squares = (self.only_first + self.only_second - gains**2 / self.cells).sum(axis=-1)
        within = _ratio(squares, spare)
        return np.sqrt(np.maximum(0, self.tasks * (self.task_variance - within / self.total)))


def _ratio(above: Any, below: Any) -> Any:
    """Quotient, and 0 where nothing is divided by nothing."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
