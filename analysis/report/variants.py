"""A policy against itself under other options: untrained, or told something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.pairing import Comparison, by_policy, compare
from analysis.report.verdicts import plainest
from analysis.stopping import early_verdicts
from wambench.cells import PolicyChoice
from wambench.stopping import Stopping
from wambench.store import StoredCell


@dataclass(frozen=True)
class VariantRow:
    """A variant (first) against the policy as it is; ``changed``: the options that differ."""

    changed: Mapping[str, Any]
    variant_rate: float | None  # on the cells that both finished
    policy_rate: float | None
    found: Comparison


def variant_rows(
    cells: Sequence[StoredCell],
    choices: Mapping[str, PolicyChoice],
    stopping: Stopping | None = None,
) -> Sequence[VariantRow]:
    """Compare, of every policy name with several labels, the plainest with each of the others.

    ``stopping``: as of :func:`analysis.report.verdicts.comparisons`.
    """
    asked = by_policy(cells)
    plain = {choices[label].name: label for label in plainest(choices, list(asked))}
    pairs = [
        (label, plain[choices[label].name])
        for label in asked
        if plain[choices[label].name] != label
    ]
    rows = []
    for one in compare(asked, pairs, judged=early_verdicts(stopping, asked, pairs)):
        first, second = asked[one.first], asked[one.second]
        places = [p for p in first if first[p] is not None and second.get(p) is not None]
        before, after = choices[one.second].options, choices[one.first].options
        rows.append(
            VariantRow(
                changed={k: v for k, v in after.items() if before.get(k, ...) != v},
                variant_rate=_rate([first[place] for place in places]),
                policy_rate=_rate([second[place] for place in places]),
                found=one,
            )
        )
    return rows


def _rate(ended: Sequence[bool | None]) -> float | None:
    return sum(map(bool, ended)) / len(ended) if ended else None
