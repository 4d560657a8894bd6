"""Verdicts on sources: paired where cells are shared, on counts where none is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.judging.conditions import disagreements, ignorance
from analysis.statistics import (
    Interval,
    Outcomes,
    Paired,
    Unpaired,
    Verdict,
    paired,
    unpaired,
    verdicts,
)
from wambench.foreign import Source


@dataclass(frozen=True)
class Judgement:
    """On the first of two sources.

    Attributes:
        verdict: None where the two are not comparable.
        basis: how they were compared, or why not.
        rates: of both, on the episodes that were compared.
        difference: first minus second.
        interval: of the difference.
        p_value: of "neither is better", alone; the verdict's is adjusted.
    """

    first: str
    second: str
    verdict: Verdict | None
    basis: str
    rates: tuple[float, float] | None = None
    difference: float | None = None
    interval: Interval | None = None
    p_value: float | None = None

    @property
    def text(self) -> str:
        """The verdict in words."""
        return "not comparable" if self.verdict is None else self.verdict.text

    @property
    def winner(self) -> str | None:
        """Label of the better one; None where neither is shown to be."""
        kind = None if self.verdict is None else self.verdict.kind
        return self.first if kind == "better" else self.second if kind == "worse" else None


def judge(sources: Sequence[Source], margin: float) -> Sequence[Judgement]:
    """Judge every two sources, all verdicts together (Holm)."""
    pairs = list(combinations(sources, 2))
    shared = [_shared(*pair) for pair in pairs]
    found = [
        None if disagreements(*pair) else _compare(*pair, both, margin)
        for pair, both in zip(pairs, shared, strict=True)
    ]
    judged = iter(verdicts([one for one in found if one is not None]))
    return [
        _judgement(*pair, both, one, None if one is None else next(judged))
        for pair, both, one in zip(pairs, shared, found, strict=True)
    ]


def _shared(first: Source, second: Source) -> Outcomes:
    """Both outcomes of every cell that both have, per suite and task."""
    if first.cells is None or second.cells is None:
        return []
    found: dict[str, dict[int, list[tuple[bool, bool]]]] = {}
    for place in sorted(first.cells.keys() & second.cells.keys()):
        outcome = first.cells[place], second.cells[place]
        found.setdefault(place.suite, {}).setdefault(place.task_index, []).append(outcome)
    return [list(tasks.values()) for tasks in found.values()]


def _compare(first: Source, second: Source, shared: Outcomes, margin: float) -> Paired | Unpaired:
    if shared:
        return paired(shared, margin)
    return unpaired(first.successes, first.episodes, second.successes, second.episodes, margin)


def _judgement(
    first: Source,
    second: Source,
    shared: Outcomes,
    found: Paired | Unpaired | None,
    verdict: Verdict | None,
) -> Judgement:
    if found is None:
        reasons = disagreements(first, second)
        more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        return Judgement(first.label, second.label, None, reasons[0] + more)
    return Judgement(
        first.label,
        second.label,
        verdict,
        _basis(first, second, found),
        _rates(first, second, shared),
        found.difference,
        found.interval,
        found.p_value,
    )


def _rates(first: Source, second: Source, shared: Outcomes) -> tuple[float, float]:
    outcomes = [pair for suite in shared for task in suite for pair in task]
    if not outcomes:
        return first.successes / first.episodes, second.successes / second.episodes
    one, other = (sum(pair[place] for pair in outcomes) / len(outcomes) for place in (0, 1))
    return one, other


def _basis(first: Source, second: Source, found: Paired | Unpaired) -> str:
    """How the two were compared."""
    if isinstance(found, Paired):
        most = max(first.episodes, second.episodes)
        text = f"paired on {found.cells} of {most} cells"
        if found.tasks == 1:
            text += ", one task"
    else:
        whose = "no cell is shared" if first.cells and second.cells else "cells are unknown"
        text = f"not paired ({whose}): unpaired test"
    lost = len(first.lost) + len(second.lost)
    notes = [f"{lost} lost to infrastructure" if lost else "", ignorance(first, second)]
    return "; ".join(filter(None, [text, *notes]))
