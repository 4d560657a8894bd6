"""Policies at what their own decisions cost, and how that reorders them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from scipy.stats import rankdata

from analysis.pairing import LOST, Asked, Comparison, compare
from analysis.report.score import Score
from analysis.report.thinking.arms import ArmRow
from analysis.stopping import early_verdicts
from wambench.stopping import Stopping


@dataclass(frozen=True)
class CostRow:
    """A policy at 0 ms and at its own cost, on the cells that all of the table finished.

    ``rank_free``, ``rank_own``: by success, 1 is best; of equals the better. ``found``: its own
    cost (first) against its 0 ms.
    """

    policy: str
    latency_ms: float
    about: str
    free: Score
    own: Score
    rank_free: int
    rank_own: int
    found: Comparison


@dataclass(frozen=True)
class CostTable:
    """Latencies of one kind and place under one rule: the only ones to be set side by side.

    Attributes:
        source, where: what the latencies are and on what, ``predicted`` and ``H100, graph``.
        rows: best at its own cost first.
        swapped: pairs of policies whose order at 0 ms is the other way round at their own cost.
        pairs: every two policies at their own cost, judged together.
    """

    source: str
    where: str
    rule: str
    rows: Sequence[CostRow]
    swapped: Sequence[tuple[str, str]]
    pairs: Sequence[Comparison]


def cost_tables(
    asked: Asked, arms: Sequence[ArmRow], stopping: Stopping | None = None
) -> Sequence[CostTable]:
    """A table for every kind, place and rule that some policy has; policies need a 0 ms arm."""
    free = {arm.policy: arm for arm in arms if arm.is_free}
    alike: dict[tuple[str, str, str], dict[str, ArmRow]] = {}
    for arm in arms:
        if arm.source in ("measured", "predicted", "claimed") and arm.policy in free:
            own = alike.setdefault((arm.source, arm.where, arm.rule), {})
            # Arms come with latencies ascending: of several (two rows of a table) the lowest is it.
            own.setdefault(arm.policy, arm)
    return [
        _table(asked, *key, free, list(own.values()), stopping)
        for key, own in sorted(alike.items())
    ]


def _table(
    asked: Asked,
    source: str,
    where: str,
    rule: str,
    free: Mapping[str, ArmRow],
    own: Sequence[ArmRow],
    stopping: Stopping | None,
) -> CostTable:
    labels = [label for arm in own for label in (arm.label, free[arm.policy].label)]
    ended = asked[list(dict.fromkeys(labels))]
    ended = asked[(ended >= LOST).all(axis=1)]
    changes = [(arm.label, free[arm.policy].label) for arm in own]
    found = compare(ended, changes, judged=early_verdicts(stopping, asked, changes))
    won = [[int(ended[label].sum()) for label in pair] for pair in changes]  # [policies, own|free]
    ranks = rankdata([[-own, -free] for own, free in won], method="min", axis=0).astype(int)
    rows = [
        CostRow(
            policy=arm.policy,
            latency_ms=arm.latency_ms or 0.0,
            about=arm.about,
            free=Score.counted(won_free, len(ended)),
            own=Score.counted(won_own, len(ended)),
            rank_free=int(rank_free),
            rank_own=int(rank_own),
            found=one,
        )
        for arm, (won_own, won_free), (rank_own, rank_free), one in zip(
            own, won, ranks, found, strict=True
        )
    ]
    pairs = list(combinations([arm.label for arm in own], 2))
    return CostTable(
        source=source,
        where=where,
        rule=rule,
        rows=sorted(rows, key=lambda row: (row.rank_own, row.rank_free)),
        swapped=[
            (one.policy, other.policy)
            for one, other in combinations(rows, 2)
            if (one.rank_free - other.rank_free) * (one.rank_own - other.rank_own) < 0
        ],
        pairs=compare(ended, pairs, judged=early_verdicts(stopping, asked, pairs)),
    )
