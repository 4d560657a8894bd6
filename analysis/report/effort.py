"""What the finished episodes of a policy took, added up one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wambench.store import Store, spent


@dataclass
class Effort:
    """What the finished episodes of one policy took.

    Attributes:
        steps: control steps of all of them.
        looks: how often the policy was asked.
        seconds: stage -> wall time.
        lengths: control steps of each success.
    """

    episodes: int = 0
    steps: int = 0
    looks: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)

    @property
    def decision_ms(self) -> float | None:
        """Wall time of one decision, the way to the policy included; None without any."""
        return 1000 * self.seconds.get("policy", 0.0) / self.looks if self.looks else None


def efforts(store: Store) -> Mapping[str, Effort]:
    """Policy -> what its finished episodes took; only policies that have some."""
    found: dict[str, Effort] = {}
    for one in spent(store):
        own = found.setdefault(one.policy, Effort())
        own.episodes += 1
        own.steps += one.steps
        own.looks += one.looks
        if one.outcome == "success" and one.steps:  # imported results do not tell their steps
            own.lengths.append(one.steps)
        for stage, seconds in one.seconds.items():
            own.seconds[stage] = own.seconds.get(stage, 0.0) + seconds
    return found
