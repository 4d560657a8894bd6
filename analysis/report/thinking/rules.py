"""Rules against each other: the same policy on the same cells at the same latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.pairing import Asked, Comparison, compare
from analysis.report.thinking.arms import ArmRow
from analysis.stopping import early_verdicts
from wambench.stopping import Stopping


@dataclass(frozen=True)
class RuleRow:
    """Two rules; ``latency_ms`` None: by the wall clock."""

    policy: str
    latency_ms: float | None
    source: str
    about: str
    first: str
    second: str
    found: Comparison


def rule_rows(
    asked: Asked, arms: Sequence[ArmRow], stopping: Stopping | None = None
) -> Sequence[RuleRow]:
    """Every two rules that a policy was played by at one latency, all judged together (Holm).

    ``stopping``: as of :func:`analysis.report.verdicts.comparisons`.
    """
    alike: dict[tuple[str, str, str, float | None], list[ArmRow]] = {}
    for arm in arms:
        if not arm.is_free:
            key = arm.policy, arm.source, arm.about, arm.latency_ms
            alike.setdefault(key, []).append(arm)
    pairs = [pair for rows in alike.values() for pair in combinations(rows, 2)]
    labels = [(first.label, second.label) for first, second in pairs]
    found = compare(asked, labels, judged=early_verdicts(stopping, asked, labels))
    return [
        RuleRow(
            policy=first.policy,
            latency_ms=first.latency_ms,
            source=first.source,
            about=first.about,
            first=first.rule,
            second=second.rule,
            found=one,
        )
        for (first, second), one in zip(pairs, found, strict=True)
    ]
