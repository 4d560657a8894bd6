"""Stop a comparison as soon as it is decided, however often one looks.

A round is one cell of every task (one initial state, one seed). After each round the evidence is
the wealth of a gambler who bets on the first policy, on the second, and against either being better
by the effect that one cares for. A gambler in a fair game seldom gets rich: the wealth ever reaches
1/a with probability a at most (Ville 1939), so looking after every round costs nothing (Ramdas,
Grünwald, Vovk & Shafer 2023, Statistical Science 38:576-601; bets on means of bounded variables:
Waudby-Smith & Ramdas 2024, JRSS-B 86:1-27).

The game is fair if the mean difference over these tasks is zero, even where each task favours one
of the two: with one stake in all cells of a round, the expected factor is the product of 1 + stake
times each task's difference, and that is at most the power of the mean, 1. Cells of a round must be
independent given the tasks, and every round has every task. What is decided is decided for these
tasks; it says nothing of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.power import POWER
from analysis.statistics.tally import Floats

Decision = Literal["better", "worse", "no such difference"]
MAX_STAKE = 0.9
"""Of the wealth: who stakes all is ruined by one cell."""


@dataclass(frozen=True)
class Evidence:
    """Logarithms of the wealth after each round, [..., rounds].

    Attributes:
        better, worse: against "the first is not better" and against "the first is not worse".
        not_better, not_worse: against "the first is better by the effect", and worse by it.
    """

    better: Floats
    worse: Floats
    not_better: Floats
    not_worse: Floats


@dataclass(frozen=True)
class Stop:
    """When a comparison could end: after ``rounds``; None: it is not decided yet."""

    decision: Decision | None
    rounds: int


def evidence(rounds: NDArray[np.int8], effect: float, discordant: float = 0.5) -> Evidence:
    """Bet on every round, with stakes that only earlier rounds decide.

    The stake is the one that makes wealth grow fastest if the difference is ``effect`` and as many
    cells tell the two apart as did so far (Kelly 1956, Bell System Technical J. 35:917-926).

    Args:
        rounds: first solved it minus second solved it, -1, 0 or 1: [..., rounds, tasks].
        effect: difference of success rates that one cares for, between 0 and 1.
        discordant: share of cells that tell the two apart, as guessed before the first round.
    """
    told = np.abs(rounds).sum(axis=-1, dtype=float)  # [..., rounds]
    tasks, before = rounds.shape[-1], np.cumsum(told, axis=-1) - told
    played = tasks * np.arange(rounds.shape[-2])
    share = (before + discordant) / (played + 1)  # the guess weighs as much as one cell
    stake = np.minimum(MAX_STAKE, effect / np.maximum(share, effect))[..., None]

    def wealth(gains: NDArray[Any]) -> Floats:
        return np.cumsum(np.log1p(stake * gains).sum(axis=-1), axis=-1)

    return Evidence(
        better=wealth(rounds),
        worse=wealth(-rounds),
        not_better=wealth(effect - rounds),
        not_worse=wealth(effect + rounds),
    )


def stop(
    rounds: NDArray[np.int8],
    effect: float,
    discordant: float = 0.5,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> Stop:
    """Say whether a comparison is decided and after how many rounds it was.

    Args:
        rounds: as in :func:`evidence`, of one comparison: [rounds, tasks].
        effect: as in :func:`evidence`.
        discordant: as in :func:`evidence`.
        confidence: 1 minus the chance of ever saying "better" or "worse" of equals.
        power: 1 minus the chance of ever saying "no such difference" of two that differ by
            ``effect``.
    """
    when = stopping_rounds(evidence(rounds, effect, discordant), confidence, power)
    first = min(when, key=lambda decision: int(when[decision]))
    if when[first] > len(rounds):
        return Stop(None, len(rounds))
    return Stop(first, int(when[first]))


def stopping_rounds(
    found: Evidence, confidence: float = CONFIDENCE, power: float = POWER
) -> dict[Decision, NDArray[np.int64]]:
    """The round, from 1, after which each decision is reached: [...]; more than there are: never.

    Either side of "better or worse" takes half of what ``confidence`` leaves; "no such difference"
    is one decision against two and takes both.
    """
    decided = np.log(2 / (1 - confidence))
    given_up = -np.log(1 - power)
    return {
        "better": _first(found.better >= decided),
        "worse": _first(found.worse >= decided),
        "no such difference": _first(np.minimum(found.not_better, found.not_worse) >= given_up),
    }


def _first(reached: NDArray[np.bool_]) -> NDArray[np.int64]:
    after_all = np.ones((*reached.shape[:-1], 1), dtype=bool)
    return np.concatenate([reached, after_all], axis=-1).argmax(axis=-1) + 1
