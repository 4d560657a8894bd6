"""What intervals of a success rate cover at worst and how long they are, by enumeration.

``python -m tests.coverage`` prints the table of docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from scipy.optimize.elementwise import find_root
from statsmodels.stats.proportion import proportion_confint

from analysis.statistics import clopper_pearson

Floats: TypeAlias = NDArray[np.float64]
Ends: TypeAlias = tuple[Floats, Floats]
"""Lower and upper end for every count of successes: [episodes + 1] each."""

EPISODES = (10, 20, 50, 100, 200, 500)
LOWEST, HIGHEST = 0.8, 0.999
"""Rates between which the worst is looked for."""
ALPHA = 0.05
ROUNDING = 1e-12
"""Ends are moved out by so much: two that are one number must not leave a gap between them."""


def _theirs(method: str) -> Callable[[int], Ends]:
    def ends(episodes: int) -> Ends:
        low, high = proportion_confint(np.arange(episodes + 1), episodes, ALPHA, method=method)
        return np.maximum(low, 0), np.minimum(high, 1)

    return ends


def _ours(episodes: int) -> Ends:
    found: Ends = clopper_pearson(np.arange(episodes + 1), episodes)
    return found


def _mid_p(episodes: int) -> Ends:
    """Lancaster 1961, JASA 56:223-234: half of the chance of what was seen counts."""
    won = np.arange(1.0, episodes + 1)

    def beyond(rate: Any, won: Any) -> Any:
        seen = stats.binom.pmf(won, episodes, rate)
        return stats.binom.sf(won, episodes, rate) + seen / 2 - ALPHA / 2

    low = find_root(beyond, (np.zeros(episodes), np.ones(episodes)), args=(won,)).x
    return _mirrored(np.concatenate([[0.0], low]))


def _blaker(episodes: int) -> Ends:
    """Blaker 2000, Canadian J. Statistics 28:783-798: the hull of what his test does not reject.

    The p-value of a rate below what was seen is the chance of so many or more, and of as few that
    are no likelier. Its second part jumps, where the two tails are alike, so the end is searched
    between jumps. Ten of them are more than lie between the ends of the one-sided tests at
    ``ALPHA / 2`` and ``ALPHA``.
    """
    won = np.arange(1, episodes + 1)[:, None]
    floor, roof = (stats.beta.ppf(a, won, episodes - won + 1) for a in (ALPHA / 2, ALPHA))
    few = stats.binom.ppf(ALPHA / 2, episodes, floor)
    few = few - 1 + np.arange(-1, 10)  # [episodes, tails]

    def many(rate: Any) -> Any:
        return special.bdtrc(won - 1.0, episodes, rate)

    def tail(rate: Any) -> Any:
        return np.where(few >= 0, special.bdtr(np.maximum(few, 0.0), episodes, rate), 0.0)

    def bisect(is_beyond: Callable[[Any], Any], low: Any, high: Any) -> Any:
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                np.where(is_beyond(middle), low, middle),
                np.where(is_beyond(middle), middle, high),
            )
        return high

    whole = np.zeros_like(few), np.ones_like(few)
    start = np.clip(bisect(lambda rate: many(rate) >= tail(rate), *whole), floor, roof)
    start = np.where(few < 0, floor, start)
    stop = np.concatenate([start[:, 1:], roof], axis=1)

    def kept(rate: Any) -> Any:
        return many(rate) + tail(rate) > ALPHA

    inside = np.where(kept(start), start, bisect(kept, start, stop))
    inside = np.where((stop > start) & (kept(start) | kept(stop)), inside, roof)
    return _mirrored(np.concatenate([[0.0], inside.min(axis=1)]))


def _mirrored(low: Floats) -> Ends:
    return low, 1 - low[::-1]


METHODS: Mapping[str, Callable[[int], Ends]] = {
    "Wilson": _theirs("wilson"),
    "Clopper-Pearson": _ours,
    "mid-P": _mid_p,
    "Jeffreys": _theirs("jeffreys"),
    "Agresti-Coull": _theirs("agresti_coull"),
    "Blaker": _blaker,
}


def worst(ends: Ends, low: float = LOWEST, high: float = HIGHEST) -> float:
    """Lowest chance, over every rate from ``low`` to ``high``, that the interval holds the rate.

    Between two neighbouring ends the same counts hold the rate, and their chance rises and then
    falls with it, so the lowest is beside an end: each is looked at from both sides.
    """
    lower, upper = ends[0] - ROUNDING, ends[1] + ROUNDING
    episodes = len(lower) - 1
    rates = np.concatenate([lower, upper])
    rates = np.concatenate([rates[(rates > low) & (rates < high)], [low, high]])
    found = []
    for above, below in (("left", "right"), ("right", "right"), ("left", "left")):
        first = np.searchsorted(upper, rates, above)  # type: ignore[call-overload]
        last = np.searchsorted(lower, rates, below) - 1  # type: ignore[call-overload]
        chance = stats.binom.cdf(last, episodes, rates) - stats.binom.cdf(
            first - 1, episodes, rates
        )
        found.append(chance.min())
    return float(min(found))


def mean_width(ends: Ends) -> float:
    """Expected length, over rates spread evenly from LOWEST to HIGHEST."""
    episodes = len(ends[0]) - 1
    rates = np.linspace(LOWEST, HIGHEST, 200)[:, None]
    chances = stats.binom.pmf(np.arange(episodes + 1), episodes, rates)
    return float((chances @ (ends[1] - ends[0])).mean())


def rows() -> list[str]:
    """Rows of the table in docs/statistics.md: worst coverage and mean width, per cent."""
    out = []
    for name, method in METHODS.items():
        found = [method(episodes) for episodes in EPISODES]
        cells = [f"{100 * worst(ends):.1f} / {100 * mean_width(ends):.1f}" for ends in found]
        out.append("| " + " | ".join([name, *cells]) + " |")
    return out


if __name__ == "__main__":
    print("\n".join(rows()))
