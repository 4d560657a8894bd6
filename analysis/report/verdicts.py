"""What a run allows to say, before any number: every policy against every other, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

from analysis.pairing import Asked, Comparison, compare
from analysis.statistics import Kind, Verdict
from analysis.stopping import early_verdicts
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.stopping import Stopping

WORDS: Mapping[Kind, str] = {
    "better": "better than",
    "worse": "worse than",
    "equivalent": "equivalent to",
    "undecided": "not told apart from",
}

DROP_WORDS: Mapping[Kind, str] = {
    "better": "loses less than",
    "worse": "loses more than",
    "equivalent": "loses as much as",
    "undecided": "is not told apart in this from",
}

NAMED = 3
"""So many policies that one is not told apart from are named; more are counted."""


class Pair(Protocol):
    """Two policies and a verdict on the first."""

    @property
    def first(self) -> str:
        """Its label."""

    @property
    def second(self) -> str:
        """That of the other."""

    @property
    def verdict(self) -> Verdict:
        """On the first."""


@dataclass(frozen=True)
class Sentence:
    """All verdicts on one policy; ``said``: kind -> the others, in the order given."""

    policy: str
    said: Mapping[Kind, Sequence[str]]
    words: Mapping[Kind, str] = field(default_factory=lambda: WORDS)

    @property
    def text(self) -> str:
        """In words, without the policy's name."""
        return "; ".join(f"{self.words[kind]} {self._others(kind)}" for kind in self.said)

    def _others(self, kind: Kind) -> str:
        """Names; many of which nothing is known are not worth reading."""
        names = self.said[kind]
        if kind != "undecided" or len(names) <= NAMED:
            return ", ".join(names)
        return f"the other {len(names)}" if len(self.said) > 1 else f"any of the other {len(names)}"


def plainest(choices: Mapping[str, PolicyChoice], labels: Sequence[str]) -> Sequence[str]:
    """Of the labels of each policy name, the one with the fewest options; others are variants."""
    found: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: len(choices[label].options)):
        found.setdefault(choices[label].name, label)
    return [label for label in labels if label in found.values()]


def comparisons(
    asked: Asked,
    choices: Mapping[str, PolicyChoice],
    specs: Mapping[str, PolicySpec],
    order: Sequence[str],
    stopping: Stopping | None = None,
) -> Sequence[Comparison]:
    """Every two policies, learned ones first, on the cells that both finished.

    Variants of one policy are left out: they are held against it alone. ``stopping``: the rule by
    which the run was ended early, which then gives the verdicts on the pairs it touched.
    """
    labels = plainest(choices, order)
    learned = [label for label in labels if specs[label].track != "scripted"]
    scripted = [label for label in labels if specs[label].track == "scripted"]
    pairs = [
        *combinations(learned, 2),
        *((label, control) for label in learned for control in scripted),
        *combinations(scripted, 2),
    ]
    return compare(asked, pairs, judged=early_verdicts(stopping, asked, pairs))


def sentences(
    found: Sequence[Pair], order: Sequence[str], words: Mapping[Kind, str] = WORDS
) -> Sequence[Sentence]:
    """One for each policy that was compared, in the order given."""
    turned: Mapping[Kind, Kind] = {
        "better": "worse", "worse": "better",
        "equivalent": "equivalent", "undecided": "undecided",
    }  # fmt: skip
    said: dict[str, dict[Kind, list[str]]] = {}
    for one in found:
        kind = one.verdict.kind
        said.setdefault(one.first, {}).setdefault(kind, []).append(one.second)
        said.setdefault(one.second, {}).setdefault(turned[kind], []).append(one.first)
    return [
        Sentence(
            label,
            {
                kind: sorted(said[label][kind], key=order.index)
                for kind in WORDS
                if kind in said[label]
            },
            words,
        )
        for label in order
        if label in said
    ]
