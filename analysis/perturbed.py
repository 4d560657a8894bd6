"""Perturbed cells beside the plain ones that they are held against.

A perturbed cell is held against the plain cell of the same policy and seed, on its base suite, base
task and base state. Where objects were placed anew there is no such cell, and it is held against
all plain cells of its base task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.pairing import LOST, MISSING, WON, Asked, asked_of
from analysis.statistics import (
    MARGIN,
    Design,
    Drop,
    DropDifference,
    drop,
    drop_difference,
)
from wambench.suite import Factors

Varied: TypeAlias = pd.DataFrame
"""Perturbed cells of all policies, a row each, in canonical order.

``policy, suite, task_index, task, init_state, seed`` and :class:`wambench.suite.Factors` of the
cell; ``ended`` as of :data:`analysis.pairing.Asked`; ``plain``: success of what it is held against,
0 to 1, NaN without any; ``plain_cells``: how many those are; ``is_paired``; ``is_asked``: whether
the run asks for it at all; ``base``, ``held``, ``variant``: numbers of the base
task, of what it is held against (whoever the policy is) and of the initial state.
"""
VARIANT = ["suite", "task_index", "task", "init_state"]
PAIRED = ["base_suite", "base_task", "base_state"]
BASE = PAIRED[:2]
NO_STATE = -1  # of the base, where objects were placed anew
NOTHING: Mapping[str, float] = {}


def varied_of(
    outcomes: pd.DataFrame, factors: Mapping[tuple[str, str, int], Factors]
) -> tuple[Varied, pd.DataFrame]:
    """Split cells into perturbed ones, beside what they are held against, and plain ones.

    Args:
        outcomes: of :func:`wambench.store.outcomes_frame`.
        factors: of :meth:`wambench.store.Store.factors`.
    """
    cells = outcomes[[*VARIANT[:2], "task", "init_state", "seed", "policy"]].astype(
        {"suite": object, "task": object, "policy": object}
    )
    is_known = outcomes["outcome"].notna()
    ended = np.where(outcomes["outcome"] == "success", WON, np.where(is_known, LOST, MISSING))
    cells = cells.assign(ended=ended)
    told = pd.DataFrame(
        [
            {"suite": suite, "task": task, "init_state": state, **asdict(one)}
            for (suite, task, state), one in factors.items()
        ]
    ).astype({"magnitude": float})
    joined = cells.merge(told, how="left", on=["suite", "task", "init_state"])
    plain = joined.loc[joined["axis"].isna(), cells.columns]
    varied = joined[joined["axis"].notna()]
    varied = varied.assign(
        is_paired=varied["base_state"].notna(),
        base_state=varied["base_state"].fillna(NO_STATE).astype(int),
    )
    return _beside(varied, plain), plain


def _beside(varied: pd.DataFrame, plain: pd.DataFrame) -> Varied:
    """Add what each cell is held against."""
    there = plain.rename(
        columns={"suite": "base_suite", "task": "base_task", "init_state": "base_state"}
    ).drop_duplicates(["policy", *PAIRED, "seed"], keep="last")
    there = there.assign(won=there["ended"].where(there["ended"] >= LOST))
    one = there[["policy", *PAIRED, "seed", "won"]].assign(asked=1, known=there["won"].notna() * 1)
    every = one.groupby(["policy", *BASE], as_index=False).agg(
        won=("won", "mean"), asked=("asked", "sum"), known=("known", "sum")
    )
    parts = [
        varied[varied["is_paired"]].merge(one, how="left", on=["policy", *PAIRED, "seed"]),
        varied[~varied["is_paired"]].merge(every, how="left", on=["policy", *BASE]),
    ]
    both = pd.concat([part for part in parts if len(part)], ignore_index=True)
    both = both.rename(columns={"won": "plain", "known": "plain_cells"})
    both = both.assign(
        is_asked=both["asked"].fillna(0) > 0,
        plain=both["plain"].astype(float),
        plain_cells=both["plain_cells"].fillna(0).astype(float),
        once=both["seed"].where(both["is_paired"], 0),
    )
    both = both.assign(
        base=_numbered(both, BASE),
        held=_numbered(both, [*PAIRED, "once"]),
        variant=_numbered(both, VARIANT),
    ).drop(columns=["asked", "once"])
    return both.sort_values(["policy", *VARIANT, "seed"], ignore_index=True, kind="stable")


def compared(cells: Varied) -> Varied:
    """Those that finished and have something finished to be held against."""
    return cells[(cells["ended"] >= LOST) & cells["plain"].notna()]


def design(cells: Varied, of_axis: Mapping[str, float] = NOTHING) -> Design:
    """How cells weigh: all alike, or so much in all for each axis."""
    weight = np.ones(len(cells))
    if of_axis:
        counts = cells["axis"].map(cells["axis"].value_counts())
        weight = (cells["axis"].map(of_axis) / counts).to_numpy(float) * len(cells)
    return Design(
        task=np.unique(cells["base"], return_inverse=True)[1],
        plain=np.unique(cells["held"], return_inverse=True)[1],
        plain_cells=np.maximum(1.0, cells["plain_cells"].to_numpy(float)),
        weight=weight,
    )


def drop_of(cells: Varied, of_axis: Mapping[str, float] = NOTHING) -> Drop | None:
    """What perturbations cost the policy whose cells these are; None without :func:`compared`."""
    own = compared(cells)
    if of_axis:
        own = own[own["axis"].map(of_axis) > 0]
    if own.empty:
        return None
    return drop(design(own, of_axis), own["plain"].to_numpy(), (own["ended"] == WON).to_numpy())


def both_of(first: Varied, second: Varied) -> Varied:
    """Cells that two policies finished and have something to be held against, side by side."""
    keys = ["variant", "seed"]
    others = compared(second)[[*keys, "ended", "plain"]]
    return compared(first).merge(others, on=keys, suffixes=("", "_other"))


def drop_difference_of(
    both: Varied, plain: pd.DataFrame, policies: tuple[str, str], margin: float = MARGIN
) -> DropDifference:
    """Compare what perturbations cost two policies.

    Args:
        both: of :func:`both_of`.
        plain: plain cells, of :func:`varied_of`.
        policies: whose they are.
        margin: of drops that count as equivalent.
    """
    before, cells = _alone_on_plain(both, plain, policies)
    both = both.assign(plain_cells=cells)
    first, second = both["ended"] == WON, both["ended_other"] == WON
    after = (first & ~second).to_numpy(), (second & ~first).to_numpy()
    return drop_difference(design(both), before, after, margin)


def _alone_on_plain(
    both: Varied, plain: pd.DataFrame, policies: tuple[str, str]
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]:
    """Share of what each cell is held against that one policy alone solved; of how many cells.

    Without partners: of the plain cells of the base task that both finished; where there are none,
    as if the two had nothing to do with each other.
    """
    one, other = both["plain"], both["plain_other"]
    first, second = one * (1 - other), other * (1 - one)
    count = np.ones(len(both))
    if not both["is_paired"].all():
        keys = ["suite", "task", "init_state", "seed"]
        own, others = (
            plain[(plain["policy"] == name) & (plain["ended"] >= LOST)] for name in policies
        )
        met = own.merge(others, on=keys, suffixes=("", "_other"))
        met = met.assign(
            first=(met["ended"] > met["ended_other"]) * 1.0,
            second=(met["ended"] < met["ended_other"]) * 1.0,
        )
        found = met.groupby(["suite", "task"])[["first", "second"]].agg(["mean", "size"])
        at = found.reindex(pd.MultiIndex.from_frame(both[BASE]))
        known = (~both["is_paired"]).to_numpy() & at[("first", "mean")].notna().to_numpy()
        first = first.mask(known, at[("first", "mean")].to_numpy())
        second = second.mask(known, at[("second", "mean")].to_numpy())
        count = np.where(known, at[("first", "size")].to_numpy(), count)
    return (first.to_numpy(), second.to_numpy()), count


def by_base_task(cells: Varied) -> Asked:
    """How policies ended in perturbed cells, sorted under base tasks: those are what was drawn."""
    return asked_of(
        pd.DataFrame(
            {
                "policy": cells["policy"],
                "suite": cells["base_suite"],
                "task_index": cells["base"],
                "init_state": cells["variant"],
                "seed": cells["seed"],
                "outcome": cells["ended"].map({WON: "success", LOST: "failure"}),
            }
        )
    )


def _numbered(cells: pd.DataFrame, columns: list[str]) -> NDArray[np.intp]:
    """A number from 0 for each distinct combination, in order."""
    return cells.groupby(columns, sort=True).ngroup().to_numpy(np.intp)
