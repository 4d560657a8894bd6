"""An episode's facts as arrays over time, and the events in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.failures.definitions import Thresholds
from wambench.facts import ARM, FINGERS, HAND, ROBOT, SCENE, Facts

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Hold:
    """An object in the fingers from step ``start`` to step ``end``, lifted in between."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Course:
    """T + 1 moments of an episode, ``hz`` of them a second. Moment 0 is before the first action."""

    facts: Sequence[Facts]
    hz: float
    thresholds: Thresholds

    def steps(self, seconds: float) -> int:
        """Whole control steps in a time, at least 1."""
        return max(1, round(seconds * self.hz))

    @property
    def last(self) -> int:
        """Number of the last moment."""
        return len(self.facts) - 1

    # -- over time -------------------------------------------------------------------------

    @cached_property
    def hand(self) -> NDArray[np.float64]:
        """Between the finger tips, [T + 1, 3], m."""
        return np.array([moment.hand for moment in self.facts])

    @cached_property
    def closing(self) -> Flags:
        """Whether the fingers have been closing within the last second, [T + 1]."""
        opening = np.array([moment.opening for moment in self.facts])
        window = self.steps(1.0)
        widest = np.array([opening[max(0, t - window) : t + 1].max() for t in range(len(opening))])
        return widest - opening >= self.thresholds.closing_m

    def gap(self, goal: int) -> NDArray[np.float64]:
        """What a goal lacks, [T + 1]."""
        return np.array([moment.goals[goal].gap for moment in self.facts])

    def distance(self, goal: int) -> NDArray[np.float64]:
        """From the fingers to a goal's subject, [T + 1], m."""
        return np.array([moment.goals[goal].distance for moment in self.facts])

    def holds(self, goal: int) -> Flags:
        """Whether a goal holds, [T + 1]."""
        return np.array([moment.goals[goal].holds for moment in self.facts])

    def position(self, name: str) -> NDArray[np.float64]:
        """Of a loose object, [T + 1, 3], m."""
        return np.array([moment.objects[name] for moment in self.facts])

    def touch(self, one: str, other: str) -> Flags:
        """Whether two things touch, [T + 1]."""
        return np.array([moment.touch(one, other) for moment in self.facts])

    @cached_property
    def subjects(self) -> Sequence[str]:
        """What the goals want moved."""
        return [goal.subject for goal in self.facts[0].goals]

    @cached_property
    def others(self) -> Sequence[str]:
        """Loose objects that no goal wants moved."""
        return [name for name in self.facts[0].objects if name not in self.subjects]

    # -- events ----------------------------------------------------------------------------

    def hold(self, name: str) -> Hold | None:
        """The last time that an object was lifted in the fingers."""
        if name not in self.facts[0].objects:
            return None
        limits, height = self.thresholds, self.position(name)[:, 2]
        gripped = self.touch(FINGERS, name)
        free = gripped & [moment.touching(name) <= set(ROBOT) for moment in self.facts]
        found = None
        for start, end in runs(gripped, join=self.steps(0.1)):
            up = height[start : end + 1] - height[start] >= limits.lift_m
            if (free[start : end + 1] & up).sum() >= self.steps(limits.hold_s):
                found = Hold(name, start, end)
        return found

    def wrong_object(self, goal: int) -> tuple[int, str] | None:
        """When the fingers first closed on another object away from the goal's, and on which."""
        away = self.distance(goal) > self.thresholds.approach_m
        found = []
        for name in self.others:
            grasped = self.touch(FINGERS, name) & self.closing & away
            starts = [a for a, b in runs(grasped) if b - a >= self.steps(self.thresholds.hold_s)]
            if starts:
                found.append((starts[0], name))
        return min(found, default=None)

    def collision(self, goal: int, but: str = "") -> tuple[int, str] | None:
        """When the robot first pressed on something or knocked it away, and a line about it.

        Not what it was meant to grasp, what it lifted, nor ``but``.
        """
        limits = self.thresholds
        far = self.distance(goal) > limits.far_m
        found = []
        for thing in sorted({name for moment in self.facts for name in _hit(moment)}):
            if thing in (self.subjects[goal], but) or self.hold(thing):
                continue
            for part in ROBOT:
                counts = self.touch(part, thing) & (True if part == ARM else far)
                for start, end in runs(counts, join=1):
                    if end - start + 1 >= self.steps(limits.press_s):
                        seconds = (end - start + 1) / self.hz
                        what = "the table or floor" if thing == SCENE else thing
                        found.append((start, f"the {part} pressed on {what} for {seconds:.1f} s"))
            if thing in self.others:
                found += self._knocked(thing)
        return min(found, default=None)

    def _knocked(self, name: str) -> Iterator[tuple[int, str]]:
        position = self.position(name)
        moved = np.linalg.norm(position - position[0], axis=1)
        touched = np.array([bool(moment.touching(name) & set(ROBOT)) for moment in self.facts])
        far = np.flatnonzero(moved > self.thresholds.knock_m)
        if len(far) and touched[: far[0] + 1].any():
            start = int(np.flatnonzero(touched)[0])
            yield start, f"the robot knocked {name} {100 * moved.max():.0f} cm away"

    def oscillation(self) -> tuple[int, int] | None:
        """When the hand began to go to and fro for most of the time left, and how often it did."""
        limits, window = self.thresholds, self.steps(self.thresholds.window_s)
        turns = np.zeros((3, len(self.facts)), bool)
        for axis in range(3):
            turns[axis, turning_points(self.hand[:, axis], limits.swing_m)] = True
        busy = np.zeros(len(self.facts), bool)
        for t in np.flatnonzero(turns.any(axis=0)):
            # One axis at a time: a slanting movement turns back on several at once.
            if turns[:, t : t + window].sum(axis=1).max() >= limits.swings:
                busy[t : t + window] = True
        if not busy.any():
            return None
        start = int(np.flatnonzero(busy)[0])
        often = int(turns[:, start:].sum(axis=1).max())
        return (start, often) if busy[start:].mean() >= 0.5 else None

    def attempt(self, goal: int) -> int | None:
        """When the fingers, having come to the goal's subject, first closed near it."""
        limits, distance = self.thresholds, self.distance(goal)
        came = np.logical_or.accumulate(distance <= limits.approach_m)
        at = came & (distance <= limits.far_m) & self.closing
        return int(np.flatnonzero(at)[0]) if at.any() else None


def _hit(moment: Facts) -> Iterator[str]:
    """What the robot touches."""
    for part in (FINGERS, HAND, ARM):
        yield from moment.touching(part)


def runs(flags: Flags, join: int = 0) -> Sequence[tuple[int, int]]:
    """First and last index of each stretch of True; gaps of up to ``join`` are bridged."""
    found: list[tuple[int, int]] = []
    for t in np.flatnonzero(flags).tolist():
        if found and t - found[-1][1] <= join + 1:
            found[-1] = (found[-1][0], t)
        else:
            found.append((t, t))
    return found


def turning_points(values: NDArray[np.float64], swing: float) -> Sequence[int]:
    """Where a course [T] turns back by at least ``swing``, each at its extreme."""
    found = []
    low = high = 0
    way = 0  # 1: rising, -1: falling, 0: not known yet
    for t, value in enumerate(values):
        low = t if value < values[low] else low
        high = t if value > values[high] else high
        if way >= 0 and values[high] - value >= swing:
            if way > 0:
                found.append(high)
            way, low = -1, t
        elif way <= 0 and value - values[low] >= swing:
            if way < 0:
                found.append(low)
            way, high = 1, t
    return found
