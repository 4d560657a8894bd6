"""How a sweep has ended: what it did, the rates of success, and what must not go unsaid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wambench.errors import UserError
from wambench.stopping import Left
from wambench.store import Count


@dataclass(frozen=True)
class SweepResult:
    """What an invocation did.

    Attributes:
        done: episodes.
        known_before: cells that were known already.
        lost: cells that failed by infrastructure each time.
        spared: cells that need not run because a rule has seen enough.
        left: policies that it stopped.
    """

    done: int
    known_before: int
    lost: int
    spared: int = 0
    left: Mapping[str, Left] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """An invocation of a sweep of so many ``cells``, and the success of all that its run holds."""

    result: SweepResult
    cells: int
    rates: Sequence[Mapping[str, Any]]  # of :func:`rates`
    attempts: int
    out: Path

    @property
    def spared_share(self) -> float:
        """Of the sweep's cells."""
        return self.result.spared / max(1, self.cells)

    def check(self) -> None:
        """Raise UserError if cells are missing, or a policy broke its contract in all of them."""
        if self.result.lost:
            raise UserError(
                f"{self.result.lost} cells failed by infrastructure {self.attempts} times each and "
                "are missing; the same command tries them again, wambench runs show "
                f"{self.out} says why"
            )
        broken = [row for row in self.rates if row["episodes"] == row["policy_errors"] > 0]
        if broken:
            first, others = broken[0], len(broken) - 1
            more = f", and so in {others} other pairs of policy and suite" if others else ""
            raise UserError(
                f"policy {first['policy']!r} broke its contract in all {first['episodes']} "
                f"episodes on {first['suite']}{more}; wambench runs show {self.out} says how; mend "
                "the policy, which gives it new cells"
            )


def rates(cells: Sequence[Count]) -> list[dict[str, Any]]:
    """Success by policy and suite; policy errors count as not successful, missing cells do not."""
    ended: dict[tuple[str, str], Counter[str]] = {}
    for count in cells:
        found = ended.setdefault((count.policy, count.suite), Counter())
        found[count.outcome or "missing"] += count.cells
    rows = []
    for (policy, suite), found in ended.items():
        episodes = found.total() - found["missing"]
        rows.append(
            {
                "policy": policy,
                "suite": suite,
                "success": f"{found['success']}/{episodes}",
                "episodes": episodes,
                "policy_errors": found["policy_error"],
                "missing": found["missing"],
            }
        )
    return rows
