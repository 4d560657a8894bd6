"""How many simulators fit on a machine, and how long a sweep will take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from wambench.cells import Cell, Kind
from wambench.errors import UserError
from wambench.policy import Policy
from wambench.sweepfile import Plan

RESERVE_MB = 1500  # Ray's own processes, its object store and the driver
POLICY_MB = 400  # a policy process without weights


@dataclass(frozen=True)
class Sizing:
    """What a sweep will take of this machine."""

    workers: int
    memory_mb: int
    available_mb: int
    cores: int


def cores() -> int:
    """Cores this process may use (a container's share, not the host's)."""
    return len(os.sched_getaffinity(0))


def size_machine(plan: Plan, workers: int | None) -> Sizing:
    """Choose the number of simulator workers; raises UserError if they cannot fit."""
    each = max(suite.spec.memory_mb for suite in plan.suites.values())
    fixed = RESERVE_MB + sum(map(_policy_mb, plan.policies.values()))
    available = int(psutil.virtual_memory().available / 2**20)
    fit = (available - fixed) // each
    if fit < 1:
        raise UserError(
            f"not enough memory: one simulator needs {each} MiB beside {fixed} MiB for Ray and "
            f"policies, {available} MiB are available; free some or use a larger machine"
        )
    if workers is not None and workers > fit:
        raise UserError(
            f"--workers {workers} needs {fixed + workers * each} MiB, {available} MiB are "
            f"available; use --workers {fit} or fewer"
        )
    chosen = workers or min(cores(), fit, max(1, len(plan.cells)))
    return Sizing(chosen, fixed + chosen * each, available, cores())


def _policy_mb(policy: Policy) -> int:
    """Memory of a policy's process on this machine; weights on a GPU do not count."""
    weights = 0 if policy.spec.num_gpus else policy.needs().memory_gb * 1e9 / 2**20
    return POLICY_MB + round(weights)


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
