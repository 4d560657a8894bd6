"""As declared against the other convention: which of the two is nearer to the expert?

Nobody needs to know a right answer to the bit. A policy that was given what it was trained on is
nearer to the expert than the same policy under the pitfall; one that was not is nearer under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wambench.conformance.line import Result, failed, passed, unchecked
from wambench.conformance.looks import Look
from wambench.conformance.subject import Chunk, Subject
from wambench.contract import ActionSpec

CONFIDENCE = 0.99
MATTERS = 0.05  # of the error as declared; smaller differences say nothing of a convention


@dataclass(frozen=True)
class Comparison:
    """Mean errors as declared and otherwise, and a 99 % interval of the difference.

    The interval is Student's over episodes, since looks of one episode are alike. ``margin``: what
    the whole interval must exceed to count.
    """

    what: str
    declared: float
    other: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """The least difference that matters."""
        return MATTERS * self.declared

    @property
    def is_worse(self) -> bool:
        """The other convention is worse, as it should be."""
        return self.low > self.margin

    @property
    def is_better(self) -> bool:
        """The other convention is the right one."""
        return self.high < -self.margin

    def describe(self) -> str:
        """In words."""
        return f"{self.what} {self.declared:.3f} -> {self.other:.3f}"


def compare(
    what: str,
    looks: Sequence[Look],
    declared: NDArray[np.float64],
    other: NDArray[np.float64],
) -> Comparison:
    """Compare errors [N] of the same looks [N]; one episode alone decides nothing."""
    from scipy import stats

    difference = other - declared
    episodes = np.array([look.start.episode for look in looks])
    means = np.array([difference[episodes == one].mean() for one in np.unique(episodes)])
    middle, half = float(means.mean()), np.inf
    if len(means) > 1:
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(means) - 1)
        half = float(quantile * means.std(ddof=1) / np.sqrt(len(means)))
    return Comparison(
        what, float(declared.mean()), float(other.mean()), middle - half, middle + half
    )


def judged(comparisons: Sequence[Comparison]) -> Result:
    """Failed if another convention is better; passed if each is worse; else it cannot be told."""
    better = [one for one in comparisons if one.is_better]
    if better:
        told = ", ".join(one.describe() for one in better)
        left = min(one.other / one.declared for one in better)
        return failed(f"nearer to the expert under another convention; error: {told}", left)
    if all(one.is_worse for one in comparisons):
        return passed(f"error: {', '.join(one.describe() for one in comparisons)}")
    open_ = [one for one in comparisons if not one.is_worse]
    told = ", ".join(f"{one.describe()} (99 %: {one.low:+.3f} to {one.high:+.3f})" for one in open_)
    return unchecked(f"undecided, it makes too little difference; error: {told}")


def motion_errors(subject: Subject, answers: Sequence[Chunk]) -> NDArray[np.float64]:
    """Mean distance [N] of answers from the expert's actions, without the gripper, clipped."""
    hand = slice(None, -1 if has_gripper(subject.action) else None)
    return _errors(subject.looks, answers, hand, subject.action)


def gripper_errors(subject: Subject, answers: Sequence[Chunk]) -> NDArray[np.float64]:
    """The same of the gripper alone; not clipped, since that would hide another scale."""
    return _errors(subject.looks, answers, slice(-1, None), None)


def has_gripper(action: ActionSpec) -> bool:
    """Whether the last dimension is a gripper's."""
    return action.gripper != "none"


def _errors(
    looks: Sequence[Look], answers: Sequence[Chunk], part: slice, clip: ActionSpec | None
) -> NDArray[np.float64]:
    out = []
    for look, answer in zip(looks, answers, strict=True):
        steps = min(len(answer), len(look.expert))
        mine = answer[:steps, part]
        if clip:
            mine = np.clip(mine, clip.low, clip.high)
        out.append(np.abs(mine - look.expert[:steps, part]).mean())
    return np.array(out)
