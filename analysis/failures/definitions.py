"""The kinds of failure, as data: what each means and the numbers that draw its border.

The borders were set by hand and tested on failures staged on purpose (the ``staged-failure``
policy). Distances are of the order of a finger (2 cm), a grasp (5 cm) and an object (10 cm).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from wambench.contract import Frozen

Label = Literal[
    "never approached",
    "missed grasp",
    "dropped",
    "wrong object",
    "wrong place",
    "placed but goal not met",
    "near miss at timeout",
    "oscillation",
    "collision",
    "infrastructure",
    "policy error",
    "other",
]


class Thresholds(Frozen):
    """Where one kind of failure ends and another begins."""

    approach_m: float = Field(0.05, description="fingers this near to an object are at it")
    far_m: float = Field(0.10, description="fingers farther than this are not about to grasp it")
    closing_m: float = Field(0.015, description="fingers that close by this much within 1 s close")
    lift_m: float = Field(0.03, description="an object this much higher than at rest was lifted")
    hold_s: float = Field(0.25, description="what touches nothing but the fingers so long is held")
    fall_m: float = Field(0.04, description="an object let go from this much higher fell")
    release_s: float = Field(0.5, description="so shortly before it is let go, a touch is a rest")
    settle_s: float = Field(2.0, description="after so long an object that was let go lies still")
    at_place_m: float = Field(0.05, description="this near to where it belongs it was put there")
    near_m: float = Field(0.06, description="this near to where it belongs it nearly arrived")
    near_share: float = Field(
        0.25, description="of a joint's way; with less left it nearly arrived"
    )
    moved_share: float = Field(0.2, description="of a joint's way; with more done it was moved")
    press_s: float = Field(0.5, description="a touch that lasts so long is pressing")
    knock_m: float = Field(0.05, description="an object displaced so far was knocked away")
    swing_m: float = Field(0.01, description="a movement back by this much is a swing")
    window_s: float = Field(3.0, description="over which swings are counted")
    swings: int = Field(6, description="so many in the window are an oscillation")


STANDARD = T = Thresholds()


def _cm(metres: float) -> str:
    return f"{100 * metres:g} cm"


DEFINITIONS: Mapping[Label, str] = {
    "never approached": f"the fingers never came within {_cm(T.approach_m)} of what the task wants "
    "moved, and nothing below happened",
    "missed grasp": "the fingers came to what the task wants moved, but never lifted it by "
    f"{_cm(T.lift_m)} (or moved a drawer, door or knob to its goal)",
    "dropped": f"it was lifted and then fell by {_cm(T.fall_m)} or more, not onto its place",
    "wrong object": "the fingers closed on something else first, and never lifted the right thing",
    "wrong place": f"it was put down more than {_cm(T.at_place_m)} from where it belongs",
    "placed but goal not met": "it was let go touching what it belongs on, or within "
    f"{_cm(T.at_place_m)} of its place, but the goal's predicate does not hold, or no longer does",
    "near miss at timeout": f"the steps ran out with it still in the fingers and {_cm(T.near_m)} "
    f"or less from its place (a joint: {100 * T.near_share:g} % of its way or less)",
    "oscillation": f"the hand went to and fro, {T.swings} times or more in {T.window_s:g} s, for "
    "half of the time that was left or longer",
    "collision": "away from what it should grasp, the robot pressed on something for "
    f"{T.press_s:g} s or knocked an object {_cm(T.knock_m)} away",
    "infrastructure": "the machinery failed each time; the robot was never judged",
    "policy error": "the policy raised, or answered with something that is no action",
    "other": "none of these",
}
"""What each label means, in the words of the report. Where two fit, see ``explaining``."""
