"""What a perturbation costs: success on plain cells less success on perturbed ones.

Many perturbed cells share one plain cell, so outcomes of a pair tell little of the next pair: with
36 perturbed cells to each of ten plain ones and a rate of 0.98, the interval of paired cells held
the truth in 41 % of simulated runs. So each side is counted as the cells that it is made of, with
the interval of :mod:`analysis.statistics.intervals` or :mod:`analysis.statistics.paired`, and the
two are subtracted (Zou & Donner 2008, Statistics in Medicine 27:1693-1702, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.equivalence import MARGIN
from analysis.statistics.intervals import CONFIDENCE, Interval, clustered
from analysis.statistics.paired import difference_interval
from analysis.statistics.tally import Floats, Tally

TAILS = np.geomspace(0.499, 1e-9, 100)
"""One-sided tails at which intervals are laid out to read a p-value off them."""


@dataclass(frozen=True)
class Side:
    """Independent cells, each with a weight: arrays of shape [cells].

    Attributes:
        task: number of its base task.
        weight: how much it counts.
        size: of how many cells of equal weight it is the mean.
    """

    task: NDArray[np.intp]
    weight: Floats
    size: Floats

    @cached_property
    def worth(self) -> float:
        """As many cells of equal weight would be as sure (Kish 1965, Survey Sampling, 11.7)."""
        return float(self.weight.sum() ** 2 / (self.weight**2 / self.size).sum())

    def by_task(self, values: NDArray[Any]) -> Floats:
        """Sum up values of cells in each task, [tasks], as if there were :attr:`worth` cells."""
        scale = self.worth / self.weight.sum()
        return np.bincount(self.task, self.weight * values).astype(np.float64) * scale

    @property
    def cells(self) -> Floats:
        """How many there are in each task, [tasks]."""
        return self.by_task(np.ones(len(self.task)))


@dataclass(frozen=True)
class Design:
    """Perturbed cells and the plain ones that they are held against: arrays of shape [cells].

    Attributes:
        task: number of the base task, from 0 and without gaps.
        plain: number of the plain cell, or of a group of them, from 0 and without gaps.
        plain_cells: how many plain cells that number stands for.
        weight: how much a perturbed cell counts.
    """

    task: NDArray[np.intp]
    plain: NDArray[np.intp]
    plain_cells: Floats
    weight: Floats

    @cached_property
    def perturbed_side(self) -> Side:
        """Each perturbed cell is one of its own."""
        return Side(self.task, self.weight, np.ones(len(self.task)))

    @cached_property
    def plain_side(self) -> Side:
        """A plain cell weighs as much as all that is held against it."""
        first = np.unique(self.plain, return_index=True)[1]
        weight = np.bincount(self.plain, self.weight).astype(np.float64)
        return Side(self.task[first], weight, self.plain_cells[first])

    def of_plain(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values, [cells], of the cells of :attr:`plain_side`."""
        return values[np.unique(self.plain, return_index=True)[1]]


@dataclass(frozen=True)
class Drop:
    """Of one policy; rates and drop are 0 to 1, intervals None for fewer than two base tasks.

    Attributes:
        cells, tasks: perturbed cells, and of how many base tasks.
        plain, perturbed: success, weighted alike.
        drop: plain less perturbed.
    """

    cells: int
    tasks: int
    plain: float
    perturbed: float
    perturbed_interval: Interval | None
    drop: float
    interval: Interval | None


def drop(
    design: Design, plain: Floats, perturbed: NDArray[Any], confidence: float = CONFIDENCE
) -> Drop:
    """What perturbations cost a policy.

    Args:
        design: which cells; at least one.
        plain: success of what each perturbed cell is held against, 0 to 1, [cells].
        perturbed: success of each perturbed cell, [cells].
        confidence: share of such intervals that hold the drop on tasks like these.
    """
    sides = [
        (side.by_task(values), side.cells)
        for side, values in (
            (design.plain_side, design.of_plain(plain)),
            (design.perturbed_side, perturbed),
        )
    ]
    before, after = (float(np.average(v, weights=design.weight)) for v in (plain, perturbed))
    ends = None
    found = [clustered([list(zip(*side, strict=True))], confidence) for side in sides]
    if found[0] and found[1]:
        low, high = apart(before, found[0], after, found[1], _correlation(*sides))
        ends = float(low), float(high)
    return Drop(
        cells=len(perturbed),
        tasks=len(sides[0][0]),
        plain=before,
        perturbed=after,
        perturbed_interval=found[1],
        drop=before - after,
        interval=ends,
    )


@dataclass(frozen=True)
class DropDifference:
    """Two policies on the same perturbed cells.

    Attributes:
        difference: the second's drop less the first's: by how much the first loses less.
        p_value: of "both lose the same", two-sided; 1 for fewer than two base tasks.
        margin: of equivalence.
        p_equivalence: of "their drops differ by ``margin`` or more".
    """

    cells: int
    tasks: int
    difference: float | None
    interval: Interval | None
    p_value: float
    margin: float
    p_equivalence: float


def drop_difference(
    design: Design,
    plain: tuple[Floats, Floats],
    perturbed: tuple[NDArray[Any], NDArray[Any]],
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
) -> DropDifference:
    """Compare what perturbations cost two policies.

    By how much the first is ahead on perturbed cells, less by how much it is on plain ones.

    Args:
        design: cells that both finished.
        plain: of what each perturbed cell is held against, the share that the first alone solved,
            and that the second alone solved, [cells] each.
        perturbed: whether the first alone solved it, and the second alone, [cells] each.
        margin: of drops that count as equivalent.
        confidence: of the interval.
    """
    if not len(design.task):
        return DropDifference(0, 0, None, None, 1.0, margin, 1.0)
    before, after = (
        Tally(side.by_task(first), side.by_task(second), side.cells)
        for side, (first, second) in (
            (design.plain_side, (design.of_plain(plain[0]), design.of_plain(plain[1]))),
            (design.perturbed_side, perturbed),
        )
    )
    ahead = float(after.difference), float(before.difference)
    difference, tasks = ahead[0] - ahead[1], before.tasks
    if tasks < 2:
        return DropDifference(len(design.task), tasks, difference, None, 1.0, margin, 1.0)
    alike = _correlation(
        *((side.only_first - side.only_second, side.cells) for side in (after, before))
    )

    def ends(confidence: Any) -> tuple[Any, Any]:
        found = (difference_interval(side, confidence) for side in (after, before))
        return apart(ahead[0], next(found), ahead[1], next(found), alike)

    low, high = ends(np.array([confidence]))
    lows, highs = ends(1 - 2 * TAILS)
    beyond = [_tail(lows, -margin), _tail(-highs, -margin)]
    return DropDifference(
        cells=len(design.task),
        tasks=tasks,
        difference=difference,
        interval=(float(low[0]), float(high[0])),
        p_value=min(1.0, 2 * _tail(*((lows, 0.0) if difference > 0 else (-highs, 0.0)))),
        margin=margin,
        p_equivalence=max(beyond),
    )


def apart(
    first: float,
    first_interval: tuple[Any, Any],
    second: float,
    second_interval: tuple[Any, Any],
    correlation: float,
) -> tuple[Any, Any]:
    """Interval of ``first - second`` from the interval of each (Zou & Donner 2008, equation 7).

    It takes over what these know of rates near 0 and 1, and of tasks that differ.

    Args:
        first: an estimate.
        first_interval: its lower and upper end, [...].
        second: another.
        second_interval: its ends, [...].
        correlation: of the two.
    """
    below, above = first - first_interval[0], first_interval[1] - first
    under, over = second - second_interval[0], second_interval[1] - second
    difference = first - second

    def reach(a: Any, b: Any) -> Any:
        return np.sqrt(np.maximum(0, a**2 - 2 * correlation * a * b + b**2))

    return difference - reach(below, over), difference + reach(above, under)


def _correlation(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> float:
    """How alike tasks do on both sides, each (sums, cells) of tasks; 0 where they do not differ."""
    a, b = (sums - sums.sum() / cells.sum() * cells for sums, cells in (one, other))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float(np.clip((a * b).sum() / scale, -1, 1)) if scale > 1e-12 else 0.0


def _tail(lows: Floats, value: float) -> float:
    """The one-sided tail at which a lower end reaches ``value``; ends are of :data:`TAILS`.

    1 if even the narrowest interval is below it.
    """
    reached = np.minimum.accumulate(lows)  # falling, as the tail gets smaller
    if reached[0] <= value:
        return 1.0
    return float(np.exp(np.interp(-value, -reached, np.log(TAILS))))
