"""End a sweep when it is decided which policies are better, and say what was decided.

Decisions are those of :mod:`analysis.statistics.sequential`: a function of the outcomes in the
order of the rounds. A round counts once every cell of it that a pair needs is known; where one is
not (infrastructure failed each time), the pair waits at the round before. So machinery can delay
a decision and never turn it: what it looks at is always the first rounds of the same sequence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.pairing import LOST, NOT_ASKED, PLACE, Asked, by_policy
from analysis.statistics import CONFIDENCE, MARGIN, POWER, Stop, Verdict, evidence, stop
from wambench.errors import UserError
from wambench.stopping import Rounds, Stopping, StoppingRule
from wambench.store import StoredCell

RULE = "decided"
NOT_JUDGED = "not judged: ended early for other comparisons"


@dataclass(frozen=True)
class Terms:
    """What decisions depend on beside the outcomes.

    Attributes:
        pairs: that are to be decided.
        effect: difference of success rates that one cares for.
        confidence: 1 minus the chance that any "better" or "worse" of all pairs is wrong: each
            pair takes an equal share (Bonferroni), so that none depends on what the others do.
        power: 1 minus the chance of saying "no such difference" of a pair that has it.
    """

    pairs: Sequence[tuple[str, str]]
    effect: float = MARGIN
    confidence: float = CONFIDENCE
    power: float = POWER

    def stop(self, rounds: NDArray[np.int8]) -> Stop:
        """Whether a pair is decided; ``rounds`` as :func:`played` gives them."""
        each = 1 - (1 - self.confidence) / len(self.pairs)
        return stop(rounds, self.effect, confidence=each, power=self.power)


class Decided(StoppingRule):
    """A policy leaves when every comparison that it is part of is decided.

    Policies of no comparison play every round.
    """

    def __init__(
        self,
        policies: Sequence[str],
        pairs: Sequence[tuple[str, str]] | None = None,
        effect: float = MARGIN,
    ) -> None:
        """``pairs``: every two policies if not given. Raises UserError for what cannot be."""
        if not 0 < effect < 1:
            raise UserError(f"--effect {effect} is no difference of success rates; try 0.1")
        if len(policies) < 2:
            raise UserError("--until-decided compares two policies; the sweep file names one")
        chosen = list(combinations(policies, 2)) if pairs is None else pairs
        for first, second in chosen:
            if first == second:
                raise UserError(f"--until-decided {first},{second}: name two different policies")
        self._terms = Terms(list({frozenset(pair): pair for pair in chosen}.values()), effect)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Terms, as :func:`terms` reads them back."""
        return {
            "pairs": [list(pair) for pair in self._terms.pairs],
            "effect": self._terms.effect,
            "confidence": self._terms.confidence,
            "power": self._terms.power,
        }

    def finished(self, cells: Sequence[StoredCell], rounds: Rounds) -> Mapping[str, str]:
        """See :class:`wambench.stopping.StoppingRule`."""
        ended = by_round(by_policy(cells), rounds, {*chain(*self._terms.pairs)})
        found: dict[str, list[tuple[str, Stop]]] = {}
        for first, second in self._terms.pairs:
            decided = self._terms.stop(played(ended[first], ended[second]))
            found.setdefault(first, []).append((second, decided))
            found.setdefault(second, []).append((first, _turned(decided)))
        return {
            label: "; ".join(_words(decided, other, self._terms.effect) for other, decided in stops)
            for label, stops in found.items()
            if all(decided.decision for _, decided in stops)
        }


def terms(record: Stopping) -> Terms | None:
    """Read what a run was decided by; None if it was another package's rule."""
    if record.rule != RULE:
        return None
    return Terms(
        [(first, second) for first, second in record.settings["pairs"]],
        record.settings["effect"],
        record.settings["confidence"],
        record.settings["power"],
    )


def by_round(
    asked: Asked, rounds: Rounds, labels: Collection[str]
) -> Mapping[str, NDArray[np.int8]]:
    """Policy -> how it ended in every cell of every round, [rounds, tasks], as in ``asked``."""
    places = pd.MultiIndex.from_tuples(
        [(*task, *round_) for round_ in rounds.order for task in rounds.tasks], names=PLACE
    )
    ended = asked.reindex(index=places, columns=list(labels), fill_value=NOT_ASKED)
    shape = len(rounds.order), len(rounds.tasks)
    return {label: ended[label].to_numpy(np.int8).reshape(shape) for label in ended}


def played(first: NDArray[np.int8], second: NDArray[np.int8]) -> NDArray[np.int8]:
    """First solved it minus second solved it, [rounds, tasks], up to the first incomplete round.

    Both of :func:`by_round`.
    """
    whole = (np.minimum(first, second) >= LOST).all(axis=1)
    until = int(np.logical_and.accumulate(whole).sum())
    return (first - second)[:until]


def early_verdicts(
    record: Stopping | None,
    asked: Asked,
    pairs: Sequence[tuple[str, str]],
) -> Mapping[tuple[str, str], Verdict]:
    """Verdicts on pairs whose number of episodes was not fixed beforehand; none on others.

    Pairs that the rule watched get what it decided. Of pairs that it did not watch nothing is
    said if it stopped one of the two: that had to do with how it fared.
    """
    if record is None:
        return {}
    found = terms(record)
    ended = by_round(asked, record.rounds, {*chain(*pairs)})
    verdicts: dict[tuple[str, str], Verdict] = {}
    for first, second in pairs:
        if found and {first, second} in [{*pair} for pair in found.pairs]:
            outcomes = played(ended[first], ended[second])
            verdicts[first, second] = verdict(outcomes, found, len(record.rounds.order))
        elif {first, second} & set(record.left):
            verdicts[first, second] = Verdict("undecided", NOT_JUDGED, 1.0, 1.0)
    return verdicts


def verdict(rounds: NDArray[np.int8], found: Terms, planned: int) -> Verdict:
    """What a watched pair allows to say, with p-values that hold at every look.

    The reciprocal of the greatest wealth so far is such a p-value (Ramdas, Grünwald, Vovk & Shafer
    2023, section 2.3).
    """
    decided = found.stop(rounds)
    seen = rounds[: decided.rounds]
    if not len(seen):
        return Verdict("undecided", "undecided: no complete round", 1.0, 1.0)
    wealth = evidence(seen, found.effect)
    differ = max(wealth.better.max(), wealth.worse.max()) - np.log(2 * len(found.pairs))
    alike = np.minimum(wealth.not_better, wealth.not_worse).max()
    after = f"after {decided.rounds} of {planned} rounds"
    p_differ, p_alike = (float(np.exp(-max(0.0, found))) for found in (differ, alike))
    if decided.decision is None:
        return Verdict("undecided", f"undecided {after}", p_differ, p_alike)
    if decided.decision == "no such difference":
        return Verdict(
            "undecided", f"not {_points(found.effect)} apart, {after}", p_differ, p_alike
        )
    return Verdict(decided.decision, f"{decided.decision}, {after}", p_differ, p_alike)


def _turned(found: Stop) -> Stop:
    """The same of the second policy."""
    if found.decision == "better":
        return Stop("worse", found.rounds)
    return Stop("better", found.rounds) if found.decision == "worse" else found


def _words(found: Stop, other: str, effect: float) -> str:
    if found.decision == "no such difference":
        what = f"not {_points(effect)} apart from {other}"
    else:
        what = f"{found.decision} than {other}"
    return f"{what} after {found.rounds} round{'s' * (found.rounds != 1)}"


def _points(effect: float) -> str:
    return f"{100 * effect:g} points"
