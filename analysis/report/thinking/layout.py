"""The section's tables as rows and columns of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.report.thinking.arms import WALL, ArmRow
from analysis.report.thinking.costs import CostTable
from analysis.report.thinking.rules import RuleRow
from analysis.report.thinking.section import Thinking
from analysis.report.verdicts import WORDS
from analysis.statistics import IsoSuccess


@dataclass(frozen=True)
class Layout:
    """Columns are constant latencies.

    Attributes:
        latencies_ms: that some policy was played at, ascending.
        arms: (policy, rule) -> latency -> its arm; 0 ms stands under every rule.
        others: arms of other latencies: policies' own costs, wall clocks.
        pairs: (policy, first rule, second rule) -> latency -> what was found.
        other_pairs: of the others.
    """

    latencies_ms: Sequence[float]
    arms: Mapping[tuple[str, str], Mapping[float, ArmRow]]
    others: Sequence[ArmRow]
    pairs: Mapping[tuple[str, str, str], Mapping[float, RuleRow]]
    other_pairs: Sequence[RuleRow]


def layout(found: Thinking) -> Layout:
    """Put the arms where the page shows them."""
    constant = [arm for arm in found.arms if arm.source == "constant"]
    free = {arm.policy: arm for arm in constant if arm.is_free}
    arms: dict[tuple[str, str], dict[float, ArmRow]] = {}
    for arm in constant:
        if not arm.is_free:
            own = arms.setdefault((arm.policy, arm.rule), {})
            if arm.policy in free:
                own[0.0] = free[arm.policy]
            own[arm.latency_ms or 0.0] = arm
    alone = [policy for policy in free if policy not in {policy for policy, _ in arms}]
    arms |= {(policy, ""): {0.0: free[policy]} for policy in alone}
    pairs: dict[tuple[str, str, str], dict[float, RuleRow]] = {}
    for row in found.rules:
        if row.source == "constant":
            own_pairs = pairs.setdefault((row.policy, row.first, row.second), {})
            own_pairs[row.latency_ms or 0.0] = row
    return Layout(
        latencies_ms=sorted({arm.latency_ms or 0.0 for arm in constant}),
        arms=arms,
        others=[arm for arm in found.arms if arm.source != "constant"],
        pairs=pairs,
        other_pairs=[row for row in found.rules if row.source != "constant"],
    )


def latency_words(latency_ms: float | None, source: str) -> str:
    """``263 ms, claimed``."""
    if latency_ms is None:
        return WALL
    return f"{latency_ms:.0f} ms" + ("" if source == "constant" else f", {source}")


def told_apart(table: CostTable) -> Sequence[str]:
    """Pairs of which something was shown at their own cost, in words."""
    policy = {row.found.first: row.policy for row in table.rows}
    return [
        f"{policy[one.first]} is {WORDS[one.verdict.kind]} {policy[one.second]}"
        for one in table.pairs
        if one.verdict.kind != "undecided"
    ]


def lost_words(lost: IsoSuccess | None) -> tuple[str, str]:
    """Where the margin is lost, and its interval."""
    if lost is None:
        return "–", ""
    longest = f"{lost.longest_ms:.0f}"
    found, low, high = (
        f"> {longest}" if value is None else f"{value:.0f}"
        for value in (lost.latency_ms, lost.low_ms, lost.high_ms)
    )
    return found, low if low == high else f"{low} to {high}"
