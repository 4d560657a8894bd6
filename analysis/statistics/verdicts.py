"""What comparisons allow to say, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from scipy import stats

from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.multiple import holm
from analysis.statistics.paired import Paired
from analysis.statistics.power import POWER

Kind = Literal["better", "worse", "equivalent", "undecided"]
WORDS: Mapping[Kind, str] = {"better": "better", "worse": "worse", "equivalent": "equivalent"}
OF_DROPS: Mapping[Kind, str] = {
    "better": "loses less", "worse": "loses more", "equivalent": "loses as much",
}  # fmt: skip


class Judged(Protocol):
    """A comparison of two policies that a verdict can be reached on."""

    @property
    def cells(self) -> int:
        """Cells that both finished."""

    @property
    def difference(self) -> float | None:
        """By how much the first does better."""

    @property
    def p_value(self) -> float:
        """Of "neither is better"."""

    @property
    def margin(self) -> float:
        """Of equivalence."""

    @property
    def p_equivalence(self) -> float:
        """Of "they differ by the margin or more"."""


@dataclass(frozen=True)
class Verdict:
    """On the first of two policies.

    Attributes:
        kind: one word.
        text: with the margin, or with what is missing.
        p_difference, p_equivalence: adjusted by Holm over all comparisons judged together.
        more_episodes: of each policy on the same tasks, if it is undecided and they would help.
    """

    kind: Kind
    text: str
    p_difference: float
    p_equivalence: float
    more_episodes: int | None = None


def verdicts(
    found: Sequence[Judged],
    confidence: float = CONFIDENCE,
    power: float = POWER,
    words: Mapping[Kind, str] = WORDS,
) -> list[Verdict]:
    """Judge comparisons together: with 95 % confidence none of all "better" and "worse" is wrong.

    The same holds of all "equivalent". A difference that is there but smaller than the margin is
    "better" or "worse" and says so. How many episodes would decide a comparison is only known of
    success rates.
    """
    differences = holm([one.p_value for one in found])
    equivalences = holm([one.p_equivalence for one in found])
    return [
        _verdict(one, p, q, confidence, power, len(found), words)
        for one, p, q in zip(found, differences, equivalences, strict=True)
    ]


def _verdict(
    found: Judged,
    p: float,
    q: float,
    confidence: float,
    power: float,
    comparisons: int,
    words: Mapping[Kind, str],
) -> Verdict:
    within, is_close = f"{100 * found.margin:g} points", q <= 1 - confidence
    if p <= 1 - confidence and found.difference:
        kind: Kind = "better" if found.difference > 0 else "worse"
        text = f"{words[kind]}, by less than {within}" if is_close else words[kind]
        return Verdict(kind, text, p, q)
    if is_close:
        return Verdict("equivalent", f"{words['equivalent']} within {within}", p, q)
    if not found.cells:
        return Verdict("undecided", "undecided: no cell that both finished", p, q)
    if not isinstance(found, Paired):
        return Verdict("undecided", "undecided", p, q)
    more = more_episodes(found, confidence, power, comparisons)
    if math.isinf(more):
        return Verdict("undecided", "undecided: needs more tasks", p, q)
    text = f"undecided: needs {more:,.0f} more episodes".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return Verdict("undecided", text, p, q, int(more))


def more_episodes(
    found: Paired, confidence: float = CONFIDENCE, power: float = POWER, comparisons: int = 1
) -> float:
    """Episodes, of each policy on the same tasks, that would decide it with this power.

    If the difference is what it looks like, either it is found or it is shown to be within the
    margin, whichever takes fewer. At least a share of cells as large as the margin is taken to
    tell the two apart, as it would if they were not equivalent; few cells that all agree must not
    promise that the next ones do.

    Args:
        found: the comparison; it must have cells.
        confidence: of the verdict.
        power: chance of deciding.
        comparisons: that are judged together; the first of Holm's steps divides by them.

    Returns:
        At least 1; infinite if no number of episodes of these tasks does.

    """
    apart, alpha = abs(found.difference or 0.0), (1 - confidence) / comparisons
    target = stats.norm.ppf(power)
    error = stats.t(found.tasks - 1) if found.tasks > 1 else stats.norm()
    # Largest standard error that either finding can live with.
    errors = [
        apart / (error.ppf(1 - alpha / 2) + target),
        (found.margin - apart) / (error.ppf(1 - alpha) + target),
    ]
    discordant = (found.only_first + found.only_second) / found.cells
    spread = (found.task_spread or 0.0) ** 2
    cell = max(discordant - apart**2 - spread, found.margin * (1 - found.margin))
    allowed = max(errors) ** 2 - spread / max(1, found.tasks)
    if allowed <= 0:
        return math.inf
    return max(1, math.ceil(cell / allowed) - found.cells)
