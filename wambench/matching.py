"""What of the runs there are answers what a sweep file asks for, and why the rest does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wambench.passport import differences, make_passport
from wambench.store import Store
from wambench.sweepfile import Plan


@dataclass(frozen=True)
class Matching:
    """Cells that a plan asks for, held against stored episodes.

    Attributes:
        asked: cells.
        known: of them, those that have an episode.
        otherwise: of the rest, those that were played under other conditions.
        why: the conditions that differ, one line each.
    """

    asked: int
    known: int
    otherwise: int
    why: Sequence[str]

    def describe(self) -> str:
        """One line; empty if every cell is known."""
        if self.known == self.asked:
            return ""
        told = f"{self.known} of {self.asked} cells of the sweep file are in these runs"
        if not self.otherwise:
            return told
        reasons = "; ".join(self.why[:3]) or "their tasks or initial states"
        more = f" and {len(self.why) - 3} more" if len(self.why) > 3 else ""
        return f"{told}, {self.otherwise} more under other conditions: {reasons}{more}"


def match(plan: Plan, runs: Sequence[Path]) -> Matching:
    """Look for a plan's cells in runs."""
    asked = {cell.key: cell.place for cell in plan.cells}
    known: set[str] = set()
    places = set()
    why: dict[str, None] = {}
    ours = make_passport(
        plan.protocol, list(plan.suites.values()), list(plan.choices.values()), plan.policies, []
    )
    for folder in runs:
        with Store.read(folder) as store:
            here = store.known()
            known |= here & asked.keys()
            others = {one.cell.place for one in store.cells() if one.outcome is not None}
            passport = store.passport()
        places |= others
        if passport is not None and not asked.keys() <= here:
            why |= dict.fromkeys(differences(passport, ours))
    otherwise = sum(key not in known and place in places for key, place in asked.items())
    return Matching(len(asked), len(known), otherwise, list(why))
