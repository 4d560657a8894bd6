"""All tables of a study of a run's own episodes, from what its policies read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from analysis.attention import compare
from analysis.attention.own import agreement
from analysis.attention.own.asking import Found
from analysis.attention.own.looks import Look, scored
from analysis.attention.own.outcomes import outcomes
from analysis.attention.own.sinks import Sinks, sinks
from analysis.attention.scores import MEASURES

KEPT, REMOVED = "kept", "removed"


@dataclass(frozen=True)
class Tables:
    """What is written.

    Attributes:
        scores: a row per moment, camera, region and ``sinks``.
        means: of :func:`compare.means`, for each of ``sinks``.
        outcomes: of :func:`outcomes.outcomes`.
        sinks: a row per sink.
        blocks: of :func:`agreement.table`; this and the next two: None if nothing was blanked.
        effects: of :func:`agreement.scores`.
        agreement: of :func:`agreement.agreement`.
        no_sinks: policy -> why none can be named.
    """

    scores: pd.DataFrame
    means: pd.DataFrame
    outcomes: pd.DataFrame
    sinks: pd.DataFrame
    blocks: pd.DataFrame | None
    effects: pd.DataFrame | None
    agreement: pd.DataFrame | None
    no_sinks: Mapping[str, str]


def tables(found: Sequence[Found]) -> Tables:
    """Score all maps, with and without their sinks, and relate them to what came of them."""
    looks = [look for one in found for look in one.looks]
    effects = [effect for one in found for effect in one.effects]
    policies = list(dict.fromkeys(str(look.place["policy"]) for look in looks))
    named = {
        policy: sinks(
            [look for look in looks if look.place["policy"] == policy],
            [one.bare for one in effects if one.look.place["policy"] == policy],
        )
        for policy in policies
    }
    scores = scores_of(looks, named)
    return Tables(
        scores=scores,
        means=_means(scores),
        outcomes=outcomes(scores),
        sinks=pd.DataFrame(
            [{"policy": p} | asdict(sink) for p, those in named.items() for sink in those.found],
            columns=["policy", "camera", "row", "column", "lowest", "mean", "bare"],
        ),
        blocks=agreement.table(effects) if effects else None,
        effects=agreement.scores(effects) if effects else None,
        agreement=agreement.agreement(effects) if effects else None,
        no_sinks={policy: those.why_not for policy, those in named.items() if those.why_not},
    )


def scores_of(looks: Sequence[Look], named: Mapping[str, Sinks]) -> pd.DataFrame:
    """A row per moment, camera, region and ``sinks``.

    Where sinks cannot be named there are no rows ``removed``; where there are none, both are equal.
    """
    rows = []
    for look in looks:
        own = named[look.place["policy"]]
        about = dict(look.place) | {
            "view": "mean",
            "outcome": look.outcome,
            "before": np.nan if look.before is None else float(look.before),
        }
        ways = {KEPT: []} if own.why_not else {KEPT: [], REMOVED: [o.token for o in own.found]}
        for way, without in ways.items():
            rows += [
                about | {"sinks": way} | row for row in scored(look.ground, look.weights, without)
            ]
    return pd.DataFrame(rows)


def _means(scores: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for way, those in scores.groupby("sinks", sort=False):
        table = compare.means(those.dropna(subset=list(MEASURES), how="all"))
        parts.append(table.assign(sinks=way))
    return pd.concat(parts, ignore_index=True)
