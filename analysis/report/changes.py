"""What changed between two runs: conditions, and every cell that ended otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.pairing import Comparison, by_policy, compare
from wambench.errors import UserError
from wambench.passport import differences, refused
from wambench.store import Store, StoredCell


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
    here, there = _ended(store.cells()), _ended(other.cells())
    common = [place for place in here if place in there]
    kinds = Counter(here[place][1] == there[place][1] for place in common)
    return Changes(
        other=str(other.folder),
        conditions=differences(ours, theirs),
        comparisons=_compared(store.cells(), other.cells()),
        moved=[
            Changed(here[place][0], there[place][1], here[place][1])
            for place in common
            if here[place][1] != there[place][1]
        ],
        same=kinds[True],
        only_here=len(here) - len(common),
        only_there=len(there) - len(common),
    )


def _ended(
    cells: Sequence[StoredCell],
) -> Mapping[tuple[str, str, str, int, int], tuple[str, str]]:
    """Where -> the cell in words and how it ended, of all that finished."""
    return {
        (c.policy, c.suite, c.task, c.init_state, c.seed): (c.describe(), stored.outcome)
        for stored in cells
        if stored.outcome is not None
        for c in [stored.cell]
    }


def _compared(ours: Sequence[StoredCell], theirs: Sequence[StoredCell]) -> Sequence[Comparison]:
    now, then = by_policy(ours), by_policy(theirs)
    both = [label for label in now if label in then]
    asked = {f"{label} now": now[label] for label in both}
    asked |= {f"{label} then": then[label] for label in both}
    return compare(asked, [(f"{label} now", f"{label} then") for label in both])
