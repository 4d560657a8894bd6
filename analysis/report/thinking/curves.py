"""Success against latency, of each policy under each rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.pairing import LOST, Asked, common
from analysis.report.score import Score
from analysis.report.thinking.arms import ArmRow
from analysis.statistics import IsoSuccess, Tally, iso_success


@dataclass(frozen=True)
class Point:
    """One latency of a curve, on the cells that all its latencies finished."""

    label: str
    latency_ms: float
    score: Score


@dataclass(frozen=True)
class Curve:
    """One policy under one rule; latencies ascending, the first is 0 if it was played.

    ``lost``: where 5 points are lost against 0 ms; None without 0 ms or a cell.
    """

    policy: str
    rule: str
    points: Sequence[Point]
    lost: IsoSuccess | None


def curves(asked: Asked, arms: Sequence[ArmRow]) -> Sequence[Curve]:
    """Every policy and rule that was played at constant latencies, in the order of the arms."""
    constant = [arm for arm in arms if arm.source == "constant"]
    free = {arm.policy: arm for arm in constant if arm.is_free}
    by_rule: dict[tuple[str, str], list[ArmRow]] = {}
    for arm in constant:
        if not arm.is_free:
            by_rule.setdefault((arm.policy, arm.rule), []).append(arm)
    return [
        _curve(asked, policy, rule, [*([free[policy]] if policy in free else []), *rows])
        for (policy, rule), rows in by_rule.items()
    ]


def _curve(asked: Asked, policy: str, rule: str, arms: Sequence[ArmRow]) -> Curve:
    ended = asked[[arm.label for arm in arms]]
    ended = ended[(ended >= LOST).all(axis=1)]
    points = [
        Point(
            arm.label,
            arm.latency_ms or 0.0,
            Score.counted(int(ended[arm.label].sum()), len(ended)),
        )
        for arm in arms
    ]
    lost = None
    if arms[0].is_free and len(ended):
        first = ended[arms[0].label]
        tallies = [Tally.of(common(first, ended[arm.label])) for arm in arms[1:]]
        against = Tally(
            np.stack([one.only_first for one in tallies]),
            np.stack([one.only_second for one in tallies]),
            np.stack([one.cells for one in tallies]),
        )
        lost = iso_success([point.latency_ms for point in points[1:]], against)
    return Curve(policy, rule, points, lost)
