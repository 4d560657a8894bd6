"""Stored cells as pairs: what two policies did in the same places, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from analysis.statistics import MARGIN, Outcomes, Paired, Ranks, Verdict, paired, ranks, verdicts
from wambench.store import StoredCell

Place = tuple[str, int, int, int]
"""Suite, task, initial state, seed."""
Asked = Mapping[Place, bool | None]
"""Where one policy was asked for -> whether it succeeded; None: missing, or infrastructure failed.

A policy error is no success.
"""


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


def by_policy(cells: Sequence[StoredCell]) -> dict[str, dict[Place, bool | None]]:
    """Policy -> every place it was asked for -> how it ended."""
    asked: dict[str, dict[Place, bool | None]] = {}
    for stored in cells:
        cell = stored.cell
        place = cell.suite, cell.task_index, cell.init_state, cell.seed
        ended = None if stored.outcome is None else stored.outcome == "success"
        asked.setdefault(cell.policy, {})[place] = ended
    return asked


def common(first: Asked, second: Asked) -> Outcomes:
    """Both outcomes of every cell that both finished, per suite and task."""
    found: dict[str, dict[int, list[tuple[bool, bool]]]] = {}
    for place in sorted(set(first) & set(second)):
        one, other = first[place], second[place]
        if one is not None and other is not None:
            found.setdefault(place[0], {}).setdefault(place[1], []).append((one, other))
    return [list(tasks.values()) for tasks in found.values()]


def left_out(first: Asked, second: Asked) -> LeftOut:
    """Count what :func:`common` leaves out."""
    both = set(first) & set(second)
    missing = [(first[place] is None, second[place] is None) for place in both]
    return LeftOut(
        first_alone=len(set(first) - both),
        second_alone=len(set(second) - both),
        first_missing=missing.count((True, False)),
        second_missing=missing.count((False, True)),
        both_missing=missing.count((True, True)),
    )


def compare(
    asked: Mapping[str, Asked],
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


def rank(asked: Mapping[str, Asked]) -> Ranks | None:
    """Rank all policies over tasks, on the cells that every one of them finished.

    None with fewer than three policies or two tasks with such cells.
    """
    finished = [
        {place for place, ended in places.items() if ended is not None} for places in asked.values()
    ]
    tasks: dict[tuple[str, int], list[Place]] = {}
    for place in sorted(set.intersection(*finished)) if finished else ():
        tasks.setdefault(place[:2], []).append(place)
    return ranks(
        {
            label: [sum(ended[at] or 0 for at in places) / len(places) for places in tasks.values()]
            for label, ended in asked.items()
        }
    )
