"""Learned policies against the scripted controls, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from analysis.pairing import Place, by_policy, common
from analysis.statistics import CONFIDENCE, Paired, holm, paired
from wambench.contract import PolicySpec
from wambench.store import StoredCell

Verdict = Literal["above", "below", "not told apart"]


@dataclass(frozen=True)
class PairRow:
    """A learned policy against a control; ``p_adjusted``: Holm over all rows of the table."""

    policy: str
    control: str
    found: Paired
    p_adjusted: float
    verdict: Verdict


def against_controls(
    cells: Sequence[StoredCell], specs: Mapping[str, PolicySpec]
) -> Sequence[PairRow]:
    """Compare every policy that is not scripted with every one that is, on common cells.

    Cells that one of the two has not finished (missing, or failed by infrastructure) are left out
    of that pair; ``Paired.cells`` says how many remained. A policy error is no success.
    """
    ended = outcomes_of(cells)
    controls = [label for label in ended if specs[label].track == "scripted"]
    pairs = [
        (label, control, paired_on(ended[label], ended[control]))
        for label in ended
        if label not in controls
        for control in controls
    ]
    adjusted = holm([found.p_value for _, _, found in pairs])
    return [
        PairRow(label, control, found, p, verdict(found, p))
        for (label, control, found), p in zip(pairs, adjusted, strict=True)
    ]


def outcomes_of(cells: Sequence[StoredCell]) -> dict[str, dict[Place, bool]]:
    """Policy -> where -> whether it succeeded, of every cell that finished."""
    return {
        label: {place: ended for place, ended in places.items() if ended is not None}
        for label, places in by_policy(cells).items()
    }


def paired_on(first: Mapping[Place, bool], second: Mapping[Place, bool]) -> Paired:
    """Compare two policies on the cells that both finished."""
    return paired(common(first, second))


def verdict(found: Paired, p_adjusted: float) -> Verdict:
    """What a comparison allows to say of the first of the two."""
    if p_adjusted >= 1 - CONFIDENCE or not found.difference:
        return "not told apart"
    return "above" if found.difference > 0 else "below"
