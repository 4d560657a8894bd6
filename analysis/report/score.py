"""How a group of cells ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.statistics import wilson


@dataclass(frozen=True)
class Score:
    """How a group of cells ended. ``rate``, ``low`` and ``high`` (95 %, Wilson) are 0 to 1."""

    successes: int
    episodes: int
    policy_errors: int
    missing: int
    rate: float | None  # None: no episodes
    low: float
    high: float

    @classmethod
    def of(cls, outcomes: Iterable[str | None]) -> Score:
        """Count outcomes; None is a missing cell."""
        counts = Counter(outcomes)
        missing = counts.pop(None, 0)
        return cls._make(counts["success"], counts.total(), counts["policy_error"], missing)

    @classmethod
    def pooled(cls, scores: Iterable[Score]) -> Score:
        """Add up several scores."""
        parts = list(scores)
        return cls._make(
            sum(part.successes for part in parts),
            sum(part.episodes for part in parts),
            sum(part.policy_errors for part in parts),
            sum(part.missing for part in parts),
        )

    @classmethod
    def _make(cls, successes: int, episodes: int, policy_errors: int, missing: int) -> Score:
        rate = successes / episodes if episodes else None
        low, high = wilson(successes, episodes)
        return cls(successes, episodes, policy_errors, missing, rate, low, high)
