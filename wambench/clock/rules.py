"""Named rules for what a robot does about the time that a decision takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from wambench.clock.latency import Latency
from wambench.contract import Frozen

ClockKind = Literal["frozen", "paying", "wall"]
"""``frozen``: the world stands still while the policy thinks. ``paying``: it goes on, for as long
as a :class:`Latency` says. ``wall``: for as long as this machine took, which never repeats."""


class Rules(Frozen):
    """What happens from the moment a policy is asked to the moment its answer is used up."""

    asking: Literal["at_end", "overlap"] = Field(
        default="at_end",
        description="at_end: when the actions meant to be executed are; overlap: so much earlier "
        "that the answer is there when they end",
    )
    meanwhile: Literal["hold", "continue", "repeat"] = Field(
        default="hold",
        description="hold: no motion, gripper as it is; continue: what the last chunk holds beyond "
        "the actions that were meant, then hold; repeat: the last action",
    )
    arrival: Literal["from_start", "skip_elapsed", "blend", "rtc"] = Field(
        default="from_start",
        description="from_start: the whole answer; skip_elapsed: without the actions whose time "
        "has passed; blend: that, mixed into what the last chunk still holds; rtc: that, of an "
        "answer that was told which actions are being executed meanwhile",
    )
    rounding: Literal["up", "nearest", "down"] = Field(
        default="up", description="from milliseconds to control steps"
    )


NAMED_RULES: Mapping[str, Rules] = {
    "hold": Rules(),
    "continue": Rules(meanwhile="continue", arrival="skip_elapsed"),
    "overlap": Rules(asking="overlap", meanwhile="continue", arrival="skip_elapsed"),
    "rtc": Rules(asking="overlap", meanwhile="continue", arrival="rtc"),
    "repeat": Rules(meanwhile="repeat", arrival="skip_elapsed"),
    "blend": Rules(asking="overlap", meanwhile="continue", arrival="blend"),
}
"""What a sweep file may call them."""


class Timing(Frozen):
    """How the time of one policy's decisions is paid for; ``latency`` None: by the wall clock.

    Attributes:
        clock: never ``frozen``: that is to have no timing.
        rule: what ``rules`` are called, for people.
        policy: whose arm of a grid this is: its label without latency and rule.
    """

    clock: Literal["paying", "wall"]
    rule: str
    rules: Rules
    latency: Latency | None
    policy: str

    def decides(self) -> Mapping[str, Any]:
        """What of it decides a cell's result: not what things are called."""
        ms = list(self.latency.ms) if self.latency else None
        return {"clock": self.clock, "rules": self.rules.model_dump(mode="json"), "ms": ms}
