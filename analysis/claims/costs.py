"""FLOPs of conditions: which picture, how many steps, what is counted and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic import Field

from wambench.contract import Frozen

ClosedForm = Callable[[str, Mapping[str, Any]], Mapping[Any, int]]
"""(policy, options) -> FLOPs per stage; :func:`wambench.profile.flops.closed_form` is one."""

Scope = Literal["everything", "without text", "without text and decode"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
LEFT_OUT: Mapping[Scope, tuple[str, ...]] = {
    "everything": (),
    "without text": ("text",),
    "without text and decode": ("text", "decode"),
}
TERA = 1e12


class Reading(Frozen):
    """The policy of ours that a published row is taken for."""

    policy: str
    options: Mapping[str, Any] = {}
    mode: str | None = Field(default=None, description="eager, compiled or graph; None: eager")
    lacks: tuple[str, ...] = Field(
        default=(), description="parts of a condition that mean nothing to this policy"
    )


@dataclass(frozen=True)
class Condition:
    """Under which a policy is counted; None leaves a choice as the policy has it.

    Attributes:
        picture: height and width in pixels of all cameras together.
        steps: of the action's flow (where video and action share it, of both).
        video_frames: of the clip that a video model imagines.
    """

    picture: tuple[int, int] | None = None
    preset: str | None = None
    steps: int | None = None
    video_frames: int | None = None
    text_length: int | None = None

    def options(self, lacking: tuple[str, ...] = ()) -> dict[str, Any]:
        """As options of a policy, but for those it lacks."""
        chosen = vars(self).items()
        return {name: value for name, value in chosen if value is not None and name not in lacking}

    def __str__(self) -> str:
        parts = []
        if self.picture:
            parts.append(f"{picture_name(self.picture)} over all cameras")
        if self.steps:
            parts.append(f"{self.steps} steps")
        if self.video_frames:
            parts.append(f"{self.video_frames} video frames")
        if self.text_length:
            parts.append(f"text of {self.text_length} tokens")
        if self.preset:
            parts.append(f"preset {self.preset}")
        return ", ".join(parts) or "as released"


def picture_name(picture: tuple[int, int]) -> str:
    """Height and width as people write them."""
    return f"{picture[0]}x{picture[1]} px"


@dataclass
class Costs:
    """Closed forms, each asked for once."""

    closed_form: ClosedForm
    _known: dict[tuple[str, str], Mapping[Any, int]] = field(default_factory=dict)

    def stages(self, reading: Reading, condition: Condition) -> Mapping[Any, int]:
        """FLOPs per stage; the reading's own options win over the condition's."""
        chosen = condition.options(reading.lacks) | dict(reading.options)
        key = reading.policy, repr(sorted(chosen.items()))
        if key not in self._known:
            self._known[key] = self.closed_form(reading.policy, chosen)
        return self._known[key]

    def flops(self, reading: Reading, condition: Condition, scope: Scope) -> int:
        """FLOPs of one inference."""
        left_out = LEFT_OUT[scope]
        return sum(n for s, n in self.stages(reading, condition).items() if s not in left_out)
