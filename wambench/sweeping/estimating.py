"""How long a sweep will take."""

from __future__ import annotations

from collections.abc import Mapping

from wambench.cells import Cell, Kind
from wambench.sweepfile import Plan


class Estimator:
    """Expected wall seconds of a cell: from this run's own episodes, else from the suite's spec."""

    def __init__(
        self, plan: Plan, known: Mapping[tuple[str, str], tuple[float, int]] | None = None
    ) -> None:
        """``known``: of :func:`wambench.store.paces`."""
        self._plan, self._sums = plan, dict(known or {})

    def learn(self, cell: Cell, seconds: Mapping[str, float]) -> None:
        """Take in one finished episode."""
        total, count = self._sums.get((cell.policy, cell.suite), (0.0, 0))
        self._sums[cell.policy, cell.suite] = total + seconds["total"], count + 1

    def seconds(self, kind: Kind) -> float:
        """Expected wall seconds of one cell on one worker."""
        policy, suite, _ = kind
        total, count = self._sums.get((policy, suite), (0.0, 0))
        if count:
            return total / count
        there, rules = self._plan.suites[suite].spec, self._plan.protocol
        plays = self._plan.policies[policy].spec
        steps = rules.budget(there) + rules.settle_steps
        replan = min(rules.replan_steps or plays.horizon, plays.horizon)
        looks = steps / replan if plays.cameras else 0
        return steps * there.step_seconds + looks * there.look_seconds

    def wall_seconds(self, cells: Mapping[Kind, int], workers: int) -> float:
        """Expected wall seconds of so many cells of each kind, openings included."""
        tasks = {(suite, task) for _, suite, task in cells}
        opening = sum(self._plan.suites[suite].spec.open_seconds for suite, _ in tasks)
        playing = sum(count * self.seconds(kind) for kind, count in cells.items())
        return (playing + opening) / workers
