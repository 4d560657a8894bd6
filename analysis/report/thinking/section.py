"""All that the section tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.pairing import Asked
from analysis.report.thinking.arms import WALL, ArmRow, arm_rows
from analysis.report.thinking.costs import CostTable, cost_tables
from analysis.report.thinking.curves import Curve, curves
from analysis.report.thinking.rules import RuleRow, rule_rows
from wambench.cells import PolicyChoice
from wambench.stopping import Stopping
from wambench.store import Count, Store


@dataclass(frozen=True)
class Thinking:
    """Arms in order: policies as in the sweep file, rules, latencies ascending."""

    arms: Sequence[ArmRow]
    curves: Sequence[Curve]
    rules: Sequence[RuleRow]
    costs: Sequence[CostTable]

    @property
    def policies(self) -> Sequence[str]:
        """Whose arms they are."""
        return list(dict.fromkeys(arm.policy for arm in self.arms))


def thinking(
    store: Store,
    cells: Sequence[Count],
    choices: Mapping[str, PolicyChoice],
    asked: Asked,
    stopping: Stopping | None,
) -> Thinking | None:
    """Read what a run under a clock that is not frozen tells; None for any other."""
    if not any(choices[label].timing for label in asked):
        return None
    arms = arm_rows(store, cells, choices)
    return Thinking(
        arms=arms,
        curves=curves(asked, arms),
        rules=rule_rows(asked, arms, stopping),
        costs=cost_tables(asked, arms, stopping),
    )


def notices(found: Thinking, shown: Sequence[str]) -> list[str]:
    """What a reader must know of a run with arms; ``shown``: arms that stand for policies."""
    own = [arm for arm in found.arms if arm.label in shown]
    at = "at 0 ms" if all(arm.is_free for arm in own) else "at its least latency"
    out = []
    whose = "one policy" if len(own) == 1 else f"{len(own)} policies"
    if len(found.arms) > len(own):
        out.append(
            f"The world went on while policies decided: {len(found.arms)} arms of "
            f"{whose}, by latency and rule. Here each policy is shown {at}, but in What thinking "
            "costs, which has all arms."
        )
    wall = [arm.label for arm in found.arms if arm.source == WALL]
    if wall:
        out.append(
            f"Unrepeatable: {', '.join(wall)}. A wall clock charged what the machine took, and "
            "never will again."
        )
    return out
