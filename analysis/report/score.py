"""How a group of cells ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.statistics import rate_interval
from wambench.store import Count


@dataclass(frozen=True)
class Score:
    """How a group of cells ended.

    ``rate``, ``low`` and ``high`` (95 %, Clopper-Pearson) are 0 to 1.
    """

    successes: int
    episodes: int
    policy_errors: int
    missing: int
    rate: float | None  # None: no episodes
    low: float
    high: float

    @classmethod
    def of(cls, counts: Iterable[Count]) -> Score:
        """Add up how cells ended."""
        found: Counter[str | None] = Counter()
        for count in counts:
            found[count.outcome] += count.cells
        missing = found.pop(None, 0)
        return cls.counted(found["success"], found.total(), found["policy_error"], missing)

    @classmethod
    def pooled(cls, scores: Iterable[Score]) -> Score:
        """Add up several scores."""
        parts = list(scores)
        return cls.counted(
            sum(part.successes for part in parts),
            sum(part.episodes for part in parts),
            sum(part.policy_errors for part in parts),
            sum(part.missing for part in parts),
        )

    @classmethod
    def counted(
        cls, successes: int, episodes: int, policy_errors: int = 0, missing: int = 0
    ) -> Score:
        """The rate and its interval of these counts."""
        rate = successes / episodes if episodes else None
        low, high = rate_interval(successes, episodes)
        return cls(successes, episodes, policy_errors, missing, rate, low, high)
