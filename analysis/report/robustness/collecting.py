"""What perturbations cost: the tables of every family of perturbed suites in a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis import perturbed
from analysis.pairing import LOST, WON, compare
from analysis.perturbed import Varied
from analysis.populations import Family, families
from analysis.report.robustness.judging import judged, pairs_of
from analysis.report.robustness.rows import ALL, CurveRow, DropRow, Lacking, MeanRow, Robustness
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.suite import Factors

EXPERT = "expert"
"""The scripted policy that is a ceiling, by its entry point."""
MANY_MAGNITUDES = 8
"""More than these are put into :data:`BANDS` bands of equally many magnitudes."""
BANDS = 5
KIND = ["axis", "kind", "unit"]


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
    pairs = pairs_of(labels, choices, specs)
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
            *judged(pairs, [ALL], own, plain),
            *(judged(pairs, axes, own, plain) if len(axes) > 1 else ()),
        ],
        levels=compare(asked, [pair for pair in pairs if {*pair} <= {*asked}]) if learned else [],
        lacking=[row for label in labels for row in _lacking(label, own[label])],
        ceiling=ceiling,
    )


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
