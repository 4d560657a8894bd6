"""Lines about what is answered: is it nearest to the expert in the suite's convention?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wambench.conformance.comparing import (
    compare,
    gripper_errors,
    has_gripper,
    judged,
    motion_errors,
)
from wambench.conformance.line import Result, unchecked
from wambench.conformance.subject import Chunk, Subject

SIDEWAYS = [1, 3, 5]  # what a reflection left to right negates of a pose's motion


def gripper_sign(subject: Subject) -> Result:
    """The gripper's numbers against their negatives."""
    return _judged_gripper(subject, "negated", lambda grip: -grip)


def gripper_scale(subject: Subject) -> Result:
    """The gripper's numbers against the same read as 0 to 1."""
    low, high = subject.action.low, subject.action.high
    return _judged_gripper(subject, "read as 0 to 1", lambda grip: low + (high - low) * grip)


def _judged_gripper(subject: Subject, what: str, change: Callable[[Chunk], Chunk]) -> Result:
    if not has_gripper(subject.action):
        return unchecked("the suite's actions have no gripper")
    if subject.judge:
        return unchecked(subject.judge)
    other = gripper_errors(subject, [change(answer) for answer in subject.answers])
    declared = gripper_errors(subject, subject.answers)
    return judged([compare(what, subject.looks, declared, other)])


def sideways(subject: Subject) -> Result:
    """Motion against the same reflected left to right."""
    if subject.action.dim != 7 or subject.action.frame == "joint":
        return unchecked("the suite's actions are not a hand's motion")
    signs = np.ones(subject.action.dim)
    signs[SIDEWAYS] = -1.0
    return _judged_motion(subject, "reflected", lambda answer: answer * signs)


def units(subject: Subject) -> Result:
    """Translations against the same taken for metres."""
    action = subject.action
    if action.frame == "joint" or action.translation_unit_m == 1.0:
        return unchecked("the suite's actions are not in units of their own")
    scale = np.ones(action.dim)
    scale[: 3 if action.dim >= 6 else 1] = 1.0 / action.translation_unit_m
    return _judged_motion(subject, "taken for metres", lambda answer: answer * scale)


def _judged_motion(subject: Subject, what: str, change: Callable[[Chunk], Chunk]) -> Result:
    if subject.judge:
        return unchecked(subject.judge)
    other = motion_errors(subject, [change(answer) for answer in subject.answers])
    declared = motion_errors(subject, subject.answers)
    return judged([compare(what, subject.looks, declared, other)])
