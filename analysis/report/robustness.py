"""What perturbations cost: tables of one family of perturbed suites."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis import perturbed
from analysis.pairing import LOST, WON, Comparison, compare
from analysis.perturbed import Varied
from analysis.populations import Family, families
from analysis.report.verdicts import plainest
from analysis.statistics import OF_DROPS, Drop, DropDifference, Verdict, verdicts
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.suite import Factors

EXPERT = "expert"
"""The scripted policy that is a ceiling, by its entry point."""
MANY_MAGNITUDES = 8
"""More than these are put into :data:`BANDS` bands of equally many magnitudes."""
BANDS = 5
ALL = "all"
KIND = ["axis", "kind", "unit"]
FEW_PAIRS = 60  # rows of a table that someone still reads


@dataclass(frozen=True)
class DropRow:
    """A policy on one axis; rates are 0 to 1.

    Attributes:
        found: over the compared cells; None without any.
        variants: distinct perturbed initial states that were compared.
        of: how many the axis has in all, where the installed suites say.
        expert: success of the expert on the same cells, of those that it finished.
        unfinished: perturbed cells without an outcome.
        without_plain: that finished and have nothing to be held against.
        is_paired: False if objects were placed anew in some.
    """

    policy: str
    axis: str
    found: Drop | None
    variants: int
    of: int | None
    expert: float | None
    unfinished: int
    without_plain: int
    is_paired: bool


@dataclass(frozen=True)
class MeanRow:
    """A policy over all axes.

    Attributes:
        axes: with a drop; ``of_axes`` there are.
        plain_mean: every axis alike.
        weighted: every axis as much as it has variants in all; None where that is not known.
        variants, of: as in :class:`DropRow`, of all axes.
    """

    policy: str
    axes: int
    of_axes: int
    plain_mean: Drop | None
    weighted: Drop | None
    variants: int
    of: int | None


@dataclass(frozen=True)
class CurveRow:
    """A policy at one magnitude of one kind, or at a band of magnitudes."""

    policy: str
    axis: str
    kind: str
    low: float | None
    high: float | None
    unit: str
    found: Drop

    @property
    def where(self) -> str:
        """Axis, kind and magnitude in words."""
        span = "" if self.low is None else f"{self.low:g}"
        if self.high is not None and self.high != self.low:
            span += f" to {self.high:g}"
        return ", ".join(
            part for part in (self.axis, self.kind, f"{span} {self.unit}".strip()) if part
        )


@dataclass(frozen=True)
class DropPair:
    """Two policies on one axis or on :data:`ALL`; ``verdict`` is on the first.

    Attributes:
        drops: of each, on the cells that both were compared on.
        left_out: perturbed cells of either that are not among them.
    """

    first: str
    second: str
    axis: str
    drops: tuple[float, float] | None
    found: DropDifference
    left_out: int
    verdict: Verdict


@dataclass(frozen=True)
class Lacking:
    """A plain cell that is not there; ``cells``: perturbed ones held against it in vain."""

    policy: str
    suite: str
    task: str
    init_state: int | None
    seed: int | None
    why: str
    cells: int


@dataclass(frozen=True)
class Robustness:
    """One family.

    Attributes:
        name: of the family; empty where suites are not installed.
        pairs: on all perturbed cells, then on each axis: two families of tests.
        levels: success on perturbed cells, whatever it was on plain ones.
        ceiling: label of the expert.
    """

    name: str
    suites: Sequence[str]
    total: int | None
    axes: Sequence[str]
    rows: Sequence[DropRow]
    means: Sequence[MeanRow]
    curves: Sequence[CurveRow]
    pairs: Sequence[DropPair]
    levels: Sequence[Comparison]
    lacking: Sequence[Lacking]
    ceiling: str

    @property
    def title(self) -> str:
        """For headings."""
        return self.name or "Perturbed suites"

    @property
    def by_magnitude(self) -> Mapping[str, Mapping[str, Drop]]:
        """Where on the curves -> policy -> what it cost."""
        found: dict[str, dict[str, Drop]] = {}
        for row in sorted(self.curves, key=lambda row: (row.axis, row.kind, row.low or 0.0)):
            found.setdefault(row.where, {})[row.policy] = row.found
        return found

    @property
    def pairs_shown(self) -> Sequence[DropPair]:
        """All, or where they are too many to read those on all axes together."""
        if len(self.pairs) <= FEW_PAIRS:
            return self.pairs
        return [pair for pair in self.pairs if pair.axis == ALL]


def robustness(
    outcomes: pd.DataFrame,
    factors: Mapping[tuple[str, str, int], Factors],
    choices: Mapping[str, PolicyChoice],
    specs: Mapping[str, PolicySpec],
    order: Sequence[str],
) -> Sequence[Robustness]:
    """Tables of every family of perturbed suites in a run; none without perturbed cells.

    Args:
        outcomes: of :func:`wambench.store.outcomes_frame`.
        factors: of :meth:`wambench.store.Store.factors`.
        choices: of each label.
        specs: of each label.
        order: labels in the order to show.
    """
    if not factors or outcomes.empty:
        return []
    varied, plain = perturbed.varied_of(outcomes, factors)
    return [
        _family(family, cells, plain, choices, specs, order)
        for family in families(varied["suite"].unique())
        if len(cells := varied[varied["suite"].isin(family.suites)])
    ]


def _family(
    family: Family,
    cells: Varied,
    plain: pd.DataFrame,
    choices: Mapping[str, PolicyChoice],
    specs: Mapping[str, PolicySpec],
    order: Sequence[str],
) -> Robustness:
    labels = [label for label in order if (cells["policy"] == label).any()]
    own = {label: cells[cells["policy"] == label] for label in labels}
    axes = sorted(cells["axis"].unique())
    ceiling = next(
        (x for x in labels if choices[x].name == EXPERT and specs[x].track == "scripted"), ""
    )
    pairs = _pairs(labels, choices, specs)
    learned = [label for label in labels if label != ceiling]
    finished = cells[cells["ended"] >= LOST]
    asked = perturbed.by_base_task(finished)
    return Robustness(
        name=family.name,
        suites=family.suites,
        total=family.total,
        axes=axes,
        rows=[
            _row(label, axis, own[label], own.get(ceiling), family)
            for label in labels
            for axis in axes
        ],
        means=[_mean(label, own[label], axes, family) for label in labels],
        curves=[row for label in labels for row in _curve(label, own[label], cells)],
        pairs=[
            *_judged(pairs, [ALL], own, plain),
            *(_judged(pairs, axes, own, plain) if len(axes) > 1 else ()),
        ],
        levels=compare(asked, [pair for pair in pairs if {*pair} <= {*asked}]) if learned else [],
        lacking=[row for label in labels for row in _lacking(label, own[label])],
        ceiling=ceiling,
    )


def _pairs(
    labels: Sequence[str],
    choices: Mapping[str, PolicyChoice],
    specs: Mapping[str, PolicySpec],
) -> Sequence[tuple[str, str]]:
    """Every two learned policies; scripted ones only where there are no two of these."""
    plain = plainest(choices, labels)
    learned = [label for label in plain if specs[label].track != "scripted"]
    return list(combinations(learned if len(learned) > 1 else plain, 2))


def _row(label: str, axis: str, own: Varied, experts: Varied | None, family: Family) -> DropRow:
    cells = own[own["axis"] == axis]
    compared = perturbed.compared(cells)
    known = cells["ended"] >= LOST
    return DropRow(
        policy=label,
        axis=axis,
        found=perturbed.drop_of(cells),
        variants=_variants(compared),
        of=None if family.population is None else family.population.get(axis, 0),
        expert=None if experts is None else _rate_on(experts, compared),
        unfinished=int((~known).sum()),
        without_plain=int((known & cells["plain"].isna()).sum()),
        is_paired=bool(cells["is_paired"].all()),
    )


def _mean(label: str, own: Varied, axes: Sequence[str], family: Family) -> MeanRow:
    compared = perturbed.compared(own)
    there = sorted(compared["axis"].unique())
    weights = {axis: float((family.population or {}).get(axis, 0)) for axis in there}
    total = sum(weights.values())
    shares = {axis: weight / total for axis, weight in weights.items()} if total else {}
    return MeanRow(
        policy=label,
        axes=len(there),
        of_axes=len({*axes, *(family.population or ())}),
        plain_mean=perturbed.drop_of(own, {axis: 1 / len(there) for axis in there}),
        weighted=perturbed.drop_of(own, shares) if shares else None,
        variants=_variants(compared),
        of=family.total,
    )


def _variants(cells: Varied) -> int:
    return cells["variant"].nunique()


def _rate_on(experts: Varied, cells: Varied) -> float | None:
    keys = ["variant", "seed"]
    same = experts[experts["ended"] >= LOST].merge(cells[keys], on=keys)
    return float((same["ended"] == WON).mean()) if len(same) else None


def _curve(label: str, own: Varied, cells: Varied) -> Iterator[CurveRow]:
    """Kinds in order, magnitudes rising; bands are those of all policies together.

    An axis of one kind without magnitudes is told by its row.
    """
    kinds = cells.groupby("axis")["kind"].nunique()
    mine_of = dict(list(own.groupby(KIND)))
    for key, group in cells.groupby(KIND, sort=True):
        axis, kind, unit = key
        found = bands(group["magnitude"])
        if key not in mine_of or (kinds[axis] == 1 and len(found) == 1):
            continue
        mine = mine_of[key]
        for low, high in found:
            at = mine["magnitude"]
            inside = at.isna() if low is None else at.between(low, high)
            if lost := perturbed.drop_of(mine[inside]):
                yield CurveRow(label, axis, kind, low, high, unit if low is not None else "", lost)


def bands(magnitudes: pd.Series) -> Sequence[tuple[float | None, float | None]]:
    """Lowest and highest magnitude of each band, rising; (None, None) for what has none."""
    distinct = np.sort(magnitudes.dropna().unique())
    count = BANDS if len(distinct) > MANY_MAGNITUDES else len(distinct)
    found: list[tuple[float | None, float | None]] = []
    if magnitudes.isna().any():
        found.append((None, None))
    for part in np.array_split(distinct, count) if count else ():
        found.append((float(part[0]), float(part[-1])))
    return found


def _judged(
    pairs: Sequence[tuple[str, str]],
    axes: Sequence[str],
    own: Mapping[str, Varied],
    plain: pd.DataFrame,
) -> Sequence[DropPair]:
    """Compare every pair on every axis and judge all of it together."""
    found = []
    for first, second in pairs:
        for axis in axes:
            sides = [
                cells if axis == ALL else cells[cells["axis"] == axis]
                for cells in (own[first], own[second])
            ]
            both = perturbed.both_of(*sides)
            keys = ["variant", "seed"]
            asked = len(pd.concat([side[keys] for side in sides]).drop_duplicates())
            lost = None
            if len(both):
                after = (both["ended"] == WON).mean(), (both["ended_other"] == WON).mean()
                before = both["plain"].mean(), both["plain_other"].mean()
                lost = float(before[0] - after[0]), float(before[1] - after[1])
            one = perturbed.drop_difference_of(both, plain, (first, second))
            nothing = Verdict("undecided", "", 1.0, 1.0)
            found.append(DropPair(first, second, axis, lost, one, asked - len(both), nothing))
    judged = verdicts([pair.found for pair in found], words=OF_DROPS)
    return [replace(pair, verdict=one) for pair, one in zip(found, judged, strict=True)]


def _lacking(label: str, own: Varied) -> Iterator[Lacking]:
    """Plain cells that finished perturbed ones would be held against."""
    alone = own[(own["ended"] >= LOST) & own["plain"].isna()]
    seeds = alone["seed"].where(alone["is_paired"], -1)
    keys = [*perturbed.PAIRED, "seed", "is_asked"]
    for key, group in alone.assign(seed=seeds).groupby(keys, sort=True):
        suite, task, state, seed, is_asked = key
        any_state = state == perturbed.NO_STATE
        yield Lacking(
            policy=label,
            suite=suite,
            task=task,
            init_state=None if any_state else int(state),
            seed=None if any_state else int(seed),
            why="without an outcome" if is_asked else "not asked for",
            cells=len(group),
        )
