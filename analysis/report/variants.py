"""A policy against itself under other options: untrained, or told something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.report.pairs import Verdict, outcomes_of, paired_on, verdict
from analysis.statistics import Paired, holm
from wambench.cells import PolicyChoice
from wambench.store import StoredCell


@dataclass(frozen=True)
class VariantRow:
    """A variant against the policy as it is; ``changed``: the options that differ."""

    policy: str
    variant: str
    changed: Mapping[str, Any]
    policy_rate: float | None  # on the cells that both finished
    variant_rate: float | None
    found: Paired
    p_adjusted: float
    verdict: Verdict


def variant_rows(
    cells: Sequence[StoredCell], choices: Mapping[str, PolicyChoice]
) -> Sequence[VariantRow]:
    """Compare, of every policy name with several labels, the plainest with each of the others.

    The plainest is the one with the fewest options. ``verdict`` is that of the variant.
    """
    ended = outcomes_of(cells)
    by_name: dict[str, list[str]] = {}
    for label in sorted(ended, key=lambda label: len(choices[label].options)):
        by_name.setdefault(choices[label].name, []).append(label)
    pairs = [
        (labels[0], other, paired_on(ended[other], ended[labels[0]]))
        for labels in by_name.values()
        for other in labels[1:]
    ]
    adjusted = holm([found.p_value for _, _, found in pairs])
    rows = []
    for (plain, other, found), p in zip(pairs, adjusted, strict=True):
        common = set(ended[plain]) & set(ended[other])
        before, after = choices[plain].options, choices[other].options
        rows.append(
            VariantRow(
                policy=plain,
                variant=other,
                changed={k: v for k, v in after.items() if before.get(k, ...) != v},
                policy_rate=_rate(ended[plain], common),
                variant_rate=_rate(ended[other], common),
                found=found,
                p_adjusted=p,
                verdict=verdict(found, p),
            )
        )
    return rows


def _rate(ended: Mapping[Any, bool], common: set[Any]) -> float | None:
    return sum(ended[place] for place in common) / len(common) if common else None
