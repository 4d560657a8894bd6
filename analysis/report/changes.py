"""What changed between two runs: conditions, and every cell that ended otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.pairing import NOT_ASKED, Asked, Comparison, asked_of, compare
from wambench.cells import Cell
from wambench.errors import UserError
from wambench.passport import differences, refused
from wambench.store import Store, outcomes_frame

NAME = ["policy", "suite", "task", "init_state", "seed"]


@dataclass(frozen=True)
class Changed:
    """One cell that ended otherwise."""

    cell: str
    before: str
    after: str


@dataclass(frozen=True)
class Changes:
    """This run against another.

    Attributes:
        other: the other run's directory.
        conditions: in what their passports differ, one line each; all of them were allowed.
        comparisons: each policy that is in both, this run first, on the cells both finished.
        moved: cells that ended otherwise, in canonical order.
        same: cells that ended alike.
        only_here, only_there: cells that one of the two runs does not have, or did not finish.
    """

    other: str
    conditions: Sequence[str]
    comparisons: Sequence[Comparison]
    moved: Sequence[Changed]
    same: int
    only_here: int
    only_there: int


def changes(store: Store, other: Store, allow: Sequence[str] = ()) -> Changes:
    """Compare two runs cell by cell, by policy, task, initial state and seed.

    Raises:
        UserError: their passports disagree in something that ``allow`` does not name, or one has
            none.
    """
    ours, theirs = store.passport(), other.passport()
    for run, passport in ((store, ours), (other, theirs)):
        if passport is None:
            raise UserError(f"{str(run.folder)!r} has no passport; nothing says how it was run")
    assert ours is not None and theirs is not None
    found = refused(ours, theirs, allow)
    if found:
        raise UserError(
            f"passports of {str(store.folder)!r} and {str(other.folder)!r} disagree: "
            f"{'; '.join(found)}; to compare all the same add --allow-mismatch "
            f"{found[0].split(': ')[0]}"
        )
    here, there = outcomes_frame(store), outcomes_frame(other)
    now, then = _ended(here), _ended(there)
    common = now.merge(then, on=NAME, suffixes=("", "_then"))
    moved = common[common["outcome"] != common["outcome_then"]]
    return Changes(
        other=str(other.folder),
        conditions=differences(ours, theirs),
        comparisons=_compared(asked_of(here), asked_of(there)),
        moved=[
            Changed(
                Cell(
                    "", r.policy, "", r.suite, r.task_index, r.task, r.init_state, r.seed
                ).describe(),
                r.outcome_then,
                r.outcome,
            )
            for r in moved.itertuples()
        ],
        same=len(common) - len(moved),
        only_here=len(now) - len(common),
        only_there=len(then) - len(common),
    )


def _ended(cells: pd.DataFrame) -> pd.DataFrame:
    """Those that finished. Two runs have other categories, so they are names again."""
    return cells[cells["outcome"].notna()].astype(
        dict.fromkeys(("policy", "suite", "task", "outcome"), object)
    )


def _compared(ours: Asked, theirs: Asked) -> Sequence[Comparison]:
    both = [label for label in ours if label in theirs]
    asked = ours[both].add_suffix(" now").join(theirs[both].add_suffix(" then"), how="outer")
    asked = asked.fillna(NOT_ASKED).astype(np.int8).sort_index()
    return compare(asked, [(f"{label} now", f"{label} then") for label in both])
