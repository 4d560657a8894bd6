"""Columns that several tables have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.report.score import Score
from analysis.table import Column

POLICY = Column("policy", "Policy")
LOW, HIGH = Column("low", "low", 1, scale=0.01), Column("high", "high", 1, scale=0.01)
SCORE = (
    Column("successes", "Successes", 0),
    Column("episodes", "Episodes", 0),
    Column("rate", "Rate, %", 1, scale=0.01),
    LOW,
    HIGH,
)


def score_values(score: Score) -> Mapping[str, Any]:
    """Values under :data:`SCORE`, and what is not in the rate."""
    return {
        "successes": score.successes,
        "episodes": score.episodes,
        "rate": score.rate,
        "low": score.low if score.episodes else None,
        "high": score.high if score.episodes else None,
        "policy_errors": score.policy_errors,
        "missing": score.missing,
    }
