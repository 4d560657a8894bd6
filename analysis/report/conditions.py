"""Under which conditions policies were made, and what was equal among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.report.effort import Effort

EQUAL = {
    "steps": "optimiser steps",
    "batch_size": "samples in a step",
    "samples": "samples in all",
    "episodes": "demonstrations",
    "data_hash": "data",
    "seed": "seed",
}
"""What a fair comparison holds equal -> in words."""


@dataclass(frozen=True)
class ConditionRow:
    """One policy; None where it does not say.

    Attributes:
        parameters: of the whole policy.
        tokens: what an action is computed from -> how many.
        flops: of one decision.
        decision_ms: wall time of one decision in this run, the way to the policy included.
        trained: see :meth:`wambench.policy.Policy.config`.
        training_flops: forward and backward passes of all steps taken.
    """

    policy: str
    parameters: int | None
    tokens: Mapping[str, int]
    flops: int | None
    decision_ms: float | None
    trained: Mapping[str, Any]

    @property
    def cpu_minutes(self) -> float | None:
        """Of the training, on whatever machine that was."""
        seconds = self.trained.get("cpu_seconds")
        return None if seconds is None else seconds / 60

    @property
    def training_flops(self) -> int | None:
        """Of all steps taken."""
        each, steps = self.trained.get("flops_per_step"), self.trained.get("step")
        return None if each is None or steps is None else each * steps


def condition_rows(
    efforts: Mapping[str, Effort], configs: Mapping[str, Mapping[str, Any]]
) -> Sequence[ConditionRow]:
    """A row of every policy that says something of itself, in the order of ``configs``."""
    rows = []
    for label, config in configs.items():
        told, trained = config.get("conditions") or {}, config.get("trained") or {}
        own = efforts.get(label, Effort())
        if told or trained:
            rows.append(
                ConditionRow(
                    policy=label,
                    parameters=told.get("parameters"),
                    tokens=told.get("tokens") or {},
                    flops=told.get("flops"),
                    decision_ms=own.decision_ms,
                    trained=trained,
                )
            )
    return rows


def equality(rows: Sequence[ConditionRow]) -> str:
    """Say what was equal among the trained policies and what was not; empty for fewer than two."""
    trained = [row for row in rows if row.trained]
    if len(trained) < 2:
        return ""
    values = {name: {str(row.trained.get(name)) for row in trained} for name in EQUAL}
    same = [EQUAL[name] for name, found in values.items() if len(found) == 1]
    other = [EQUAL[name] for name, found in values.items() if len(found) > 1]
    counts = [row.parameters for row in trained if row.parameters]
    out = f"Equal among these {len(trained)}: {', '.join(same) or 'nothing'}."
    if other:
        out += f" Not equal: {', '.join(other)}."
    if len(counts) == len(trained):
        out += f" Parameters differ by {100 * (max(counts) / min(counts) - 1):.1f} % at most."
    return out
