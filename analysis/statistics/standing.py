"""Where each policy can stand among the others, and which may be the best, with one confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.statistics.verdicts import Kind


@dataclass(frozen=True)
class Standing:
    """What verdicts on every two policies leave open.

    Attributes:
        ranks: policy -> best and worst rank it can have, 1 is best; in the order given.
        best: policies not told apart from the best: none is shown to be better than they.
    """

    ranks: Mapping[str, tuple[int, int]]
    best: Sequence[str]


def standing(policies: Sequence[str], found: Sequence[tuple[str, str, Kind]]) -> Standing | None:
    """Ranks that no verdict rules out.

    A policy stands behind all that are better than it and before all that are worse. Verdicts that
    are judged together hold together, so with the confidence of theirs every true rank lies within
    its interval at once, and every policy that is truly best is among ``best``, alone or tied with
    others (ranks from pairwise tests: Al Mohamad, Goeman & van Zwet 2017, arXiv:1708.02729;
    comparisons with the best: Hsu 1984, Annals of Statistics 12:1136-1144).

    Args:
        policies: to rank, in the order of the answer.
        found: (first, second, verdict on the first); of others than ``policies`` it is ignored.

    Returns:
        None for fewer than two policies, or where some two of them were not compared.

    """
    verdicts = {
        (one, other): kind
        for first, second, kind in found
        for one, other, kind in ((first, second, kind), (second, first, TURNED[kind]))
        if one in policies and other in policies
    }
    count = len(policies)
    if count < 2 or len(verdicts) < count * (count - 1):
        return None
    ranks = {}
    for one in policies:
        said = [kind for (first, _), kind in verdicts.items() if first == one]
        ranks[one] = 1 + said.count("worse"), count - said.count("better")
    return Standing(ranks, [label for label, (best, _) in ranks.items() if best == 1])


TURNED: Mapping[Kind, Kind] = {
    "better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided",
}  # fmt: skip
"""The same verdict on the second of the two."""
