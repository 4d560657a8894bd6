"""A policy against itself under other options: untrained, or told something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.pairing import LOST, WON, Asked, Comparison, Own, compare, rate
from analysis.report.score import Score
from analysis.report.verdicts import plainest
from analysis.stopping import early_verdicts
from wambench.cells import PolicyChoice
from wambench.stopping import Stopping

CHANCE = "random"
"""The policy whose success is chance, by its entry point."""


@dataclass(frozen=True)
class VariantRow:
    """A variant (first) against the policy as it is.

    Attributes:
        changed: the options that differ.
        kept: of the cells that the policy as it is solves and that the variant finished, those that
            the variant solves too.
    """

    changed: Mapping[str, Any]
    kept: Score
    variant_rate: float | None  # on the cells that both finished
    policy_rate: float | None
    found: Comparison


@dataclass(frozen=True)
class ChanceRow:
    """A variant (first) against random actions."""

    variant_rate: float | None  # on the cells that both finished
    chance_rate: float | None
    found: Comparison


def variant_rows(
    asked: Asked,
    choices: Mapping[str, PolicyChoice],
    stopping: Stopping | None = None,
) -> Sequence[VariantRow]:
    """Compare, of every policy name with several labels, the plainest with each of the others.

    ``stopping``: as of :func:`analysis.report.verdicts.comparisons`.
    """
    pairs = _variants(asked, choices)
    rows = []
    for one in compare(asked, pairs, judged=early_verdicts(stopping, asked, pairs)):
        first, second = asked[one.first], asked[one.second]
        before, after = choices[one.second].options, choices[one.first].options
        rows.append(
            VariantRow(
                changed={k: v for k, v in after.items() if before.get(k, ...) != v},
                kept=_kept(first, second),
                variant_rate=rate(first, second),
                policy_rate=rate(second, first),
                found=one,
            )
        )
    return rows


def _kept(variant: Own, policy: Own) -> Score:
    solved = variant[(policy == WON) & (variant >= LOST)]
    return Score.counted(int(solved.sum()), len(solved))


def chance_rows(asked: Asked, choices: Mapping[str, PolicyChoice]) -> Sequence[ChanceRow]:
    """Every variant against random actions, where the run has them."""
    plain = plainest(choices, list(asked))
    chance = [label for label in plain if choices[label].name == CHANCE]
    pairs = [(label, random) for label, _ in _variants(asked, choices) for random in chance]
    return [
        ChanceRow(
            variant_rate=rate(asked[one.first], asked[one.second]),
            chance_rate=rate(asked[one.second], asked[one.first]),
            found=one,
        )
        for one in compare(asked, pairs)
    ]


def _variants(asked: Asked, choices: Mapping[str, PolicyChoice]) -> list[tuple[str, str]]:
    """Each with the policy that it is a variant of."""
    plain = {choices[label].name: label for label in plainest(choices, list(asked))}
    pairs = [(label, plain[choices[label].name]) for label in asked]
    return [(label, as_it_is) for label, as_it_is in pairs if label != as_it_is]
