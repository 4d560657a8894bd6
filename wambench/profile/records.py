"""What is recorded of a policy's cost, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from wambench.contract import Frozen
from wambench.inference import StageName

Verdict = Literal["exact", "within 1 %", "unverified", "counted"]
"""How the closed form and torch's counter agree; ``counted``: there is no closed form."""

TOLERANCE = 0.01  # beyond which a count is called unverified
TOTALS = (
    "flops",
    "flops_without_text",
    "flops_without_text_and_decode",
    "flops_per_action",
    "flops_per_second_of_robot_time",
)


class StageCount(Frozen):
    """One stage of one inference, batch 1; 1 multiply-add = 2 FLOPs.

    Attributes:
        flops: of all calls; the closed form if the policy has one, else counted.
        flops_per_call: None where the calls differ.
        counted_flops: by torch's counter.
        kernels: operations that move data (views are none, attention is one).
        moved_bytes: read and written by them, if nothing stays in a cache (eager execution).
        weight_bytes: of the parameters they read, in every call anew.
        operations: (FLOPs, moved bytes, how many such kernels); what a prediction is made from.
    """

    stage: StageName
    calls: int
    flops: int
    flops_per_call: int | None
    flops_of_calls: tuple[int, ...]
    counted_flops: int
    kernels: int
    moved_bytes: int
    weight_bytes: int
    operations: tuple[tuple[int, int, int], ...] = Field(default=(), repr=False)


class PolicyCount(Frozen):
    """What one inference of a policy takes.

    Attributes:
        options: with which the policy was made.
        executed_actions: of the chunk's ``horizon``, before it is asked again.
        instruction: that was read; a policy that trims its text costs more for longer ones.
        parameters: component -> number.
        cache_bytes: keys and values that later steps read.
        agreement: largest difference of a stage's closed form and torch's count, relative.
        fvcore: stage -> what fvcore counts, in our convention, or why it cannot.
    """

    policy: str
    options: Mapping[str, Any]
    geometry: str
    preset: str | None
    paradigm: str
    track: str
    horizon: int
    executed_actions: int
    control_hz: float | None
    instruction: str
    parameters: Mapping[str, int]
    stages: tuple[StageCount, ...]
    cache_bytes: int
    agreement: float | None
    verdict: Verdict
    fvcore: Mapping[str, int | str] = {}

    @property
    def flops(self) -> int:
        """Of everything."""
        return sum(stage.flops for stage in self.stages)

    @property
    def flops_without_text(self) -> int:
        """With the instruction's encoding at hand (called warm in the field)."""
        return self._without("text")

    @property
    def flops_without_text_and_decode(self) -> int:
        """What acting takes: no picture need be decoded for it."""
        return self._without("text", "decode")

    @property
    def flops_per_action(self) -> float:
        """All of them, per action that is executed."""
        return self.flops / self.executed_actions

    @property
    def flops_per_second_of_robot_time(self) -> float | None:
        """All of them, at the robot's control rate; None if that is not known."""
        return self.flops_per_action * self.control_hz if self.control_hz else None

    def as_json(self) -> dict[str, Any]:
        """All fields but single operations, and the totals."""
        content = self.model_dump(mode="json", exclude={"stages": {"__all__": {"operations"}}})
        return content | {name: getattr(self, name) for name in TOTALS}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PolicyCount:
        """Read what :meth:`as_json` gave."""
        return cls.model_validate({k: v for k, v in content.items() if k not in TOTALS})

    def _without(self, *left_out: StageName) -> int:
        return sum(stage.flops for stage in self.stages if stage.stage not in left_out)
