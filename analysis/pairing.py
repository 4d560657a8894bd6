"""Stored cells as pairs: what two policies did in the same places, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.statistics import MARGIN, Outcomes, Paired, Ranks, Verdict, paired, ranks, verdicts
from wambench.store import StoredCell

PLACE = ["suite", "task_index", "init_state", "seed"]
NOT_ASKED, MISSING, LOST, WON = -2, -1, 0, 1
Asked: TypeAlias = pd.DataFrame
"""Places in order (rows, by :data:`PLACE`) x policies: int8, how each ended there.

``MISSING``: asked for without an outcome, or infrastructure failed. A policy error is no success.
"""
Own: TypeAlias = pd.Series  # one policy's column


@dataclass(frozen=True)
class LeftOut:
    """Cells that are in no comparison of two policies.

    Attributes:
        first_alone, second_alone: asked of one of them only.
        first_missing, second_missing, both_missing: asked of both, without an outcome of one.
    """

    first_alone: int
    second_alone: int
    first_missing: int
    second_missing: int
    both_missing: int

    @property
    def total(self) -> int:
        """All of them."""
        missing = self.first_missing + self.second_missing + self.both_missing
        return self.first_alone + self.second_alone + missing


@dataclass(frozen=True)
class Comparison:
    """Two policies; ``verdict`` is on the first, and judged together with all others asked for."""

    first: str
    second: str
    found: Paired
    left_out: LeftOut
    verdict: Verdict


def by_policy(cells: Iterable[StoredCell]) -> Asked:
    """How every policy ended in every place it was asked for."""
    rows = [(*stored.cell.place, stored.outcome) for stored in cells]
    return asked_of(pd.DataFrame(rows, columns=["policy", *PLACE, "outcome"]))


def asked_of(outcomes: pd.DataFrame) -> Asked:
    """The same of :func:`wambench.store.outcomes_frame`."""
    is_known = outcomes["outcome"].notna()
    ended = np.where(outcomes["outcome"] == "success", WON, np.where(is_known, LOST, MISSING))
    rows = outcomes[PLACE].assign(
        suite=outcomes["suite"].astype(object),
        policy=outcomes["policy"].astype(object),
        ended=ended.astype(np.int8),
    )
    # Two tasks of one number, of two versions of a suite: the last is it.
    rows = rows.drop_duplicates([*PLACE, "policy"], keep="last")
    return rows.set_index([*PLACE, "policy"])["ended"].unstack(fill_value=NOT_ASKED)


def common(first: Own, second: Own) -> Outcomes:
    """Both outcomes of every cell that both finished, per suite and task."""
    both = ((first >= LOST) & (second >= LOST)).to_numpy()
    pairs = np.stack([first, second], axis=1)[both] == WON
    suites, tasks = (first.index.codes[level][both] for level in (0, 1))
    found: dict[int, list[NDArray[np.bool_]]] = {}
    starts = np.flatnonzero(np.diff(suites) | np.diff(tasks)) + 1
    for start, part in zip((0, *starts), np.split(pairs, starts), strict=True):
        if len(part):
            found.setdefault(suites[start], []).append(part)
    return list(found.values())


def left_out(first: Own, second: Own) -> LeftOut:
    """Count what :func:`common` leaves out."""
    ways = [np.minimum(own.to_numpy(), LOST) - NOT_ASKED for own in (first, second)]
    counts = np.bincount(3 * ways[0] + ways[1], minlength=9).reshape(3, 3)
    return LeftOut(
        first_alone=int(counts[1:, 0].sum()),
        second_alone=int(counts[0, 1:].sum()),
        first_missing=int(counts[1, 2]),
        second_missing=int(counts[2, 1]),
        both_missing=int(counts[1, 1]),
    )


def rate(own: Own, other: Own) -> float | None:
    """Success of the first where both have an outcome; None if they have none."""
    ended = own[(own >= LOST) & (other >= LOST)]
    return int(ended.sum()) / len(ended) if len(ended) else None


def compare(
    asked: Asked,
    pairs: Sequence[tuple[str, str]] | None = None,
    margin: float = MARGIN,
    judged: Mapping[tuple[str, str], Verdict] | None = None,
) -> Sequence[Comparison]:
    """Compare policies on the cells that both finished and judge all comparisons together.

    Args:
        asked: of :func:`by_policy`; of several runs if each has labels of its own.
        pairs: labels to compare; every two policies if not given.
        margin: of success rates that count as equivalent.
        judged: verdicts on pairs that are not of this family: they were reached in another way.
    """
    chosen = list(combinations(asked, 2)) if pairs is None else list(pairs)
    found = [paired(common(asked[first], asked[second]), margin) for first, second in chosen]
    known = dict(judged or {})
    others = verdicts([one for pair, one in zip(chosen, found, strict=True) if pair not in known])
    given = dict(zip([pair for pair in chosen if pair not in known], others, strict=True))
    return [
        Comparison(
            *pair,
            _with_p_of(known[pair], one) if pair in known else one,
            left_out(asked[pair[0]], asked[pair[1]]),
            (given | known)[pair],
        )
        for pair, one in zip(chosen, found, strict=True)
    ]


def _with_p_of(verdict: Verdict, found: Paired) -> Paired:
    """The same counts with the p-values that the verdict rests on."""
    return replace(found, p_value=verdict.p_difference, p_equivalence=verdict.p_equivalence)


def rank(asked: Asked) -> Ranks | None:
    """Rank all policies over tasks, on the cells that every one of them finished.

    None with fewer than three policies or two tasks with such cells.
    """
    finished = asked[(asked >= LOST).all(axis=1)]
    rates = finished.groupby(level=PLACE[:2]).mean()
    return ranks({label: rates[label].tolist() for label in rates})
