"""From the course of a failed episode to one label.

The question is asked of the unmet goal that came furthest. If its subject was lifted, what ended
the last hold is the answer. If not, it is the first thing that went wrong: the fingers closed on
something else, the robot pressed on or knocked something, it began to oscillate, or it missed the
grasp. What is left never approached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.failures.course import Course, Hold
from analysis.failures.definitions import STANDARD, Label, Thresholds
from wambench.facts import Facts


@dataclass(frozen=True)
class Failure:
    """Why an episode failed: a label, the step that shows it, and one line of evidence."""

    label: Label
    step: int
    evidence: str


def explain(facts: Sequence[Facts], hz: float, thresholds: Thresholds = STANDARD) -> Failure:
    """Explain a failed episode of T steps from its T + 1 moments, ``hz`` of them a second."""
    course = Course(facts, hz, thresholds)
    goals = facts[-1].goals
    unmet = [number for number, goal in enumerate(goals) if not goal.holds]
    if not unmet:
        return Failure("other", course.last, "every condition of the goal holds in the last moment")
    goal = max(unmet, key=lambda number: (_progress(course, number), -number))
    return _of_goal(course, goal)


def first_attempt(
    facts: Sequence[Facts], hz: float, thresholds: Thresholds = STANDARD
) -> int | None:
    """The step at which the fingers first closed near what a goal wants moved; None: never."""
    course = Course(facts, hz, thresholds)
    tries = [course.attempt(number) for number in range(len(course.subjects))]
    return min((step for step in tries if step is not None), default=None)


def _progress(course: Course, goal: int) -> int:
    """How far a goal came: 3 reached, 2 lifted or moved, 1 grasped at, 0."""
    if course.holds(goal)[1:].any():
        return 3
    if course.hold(course.subjects[goal]) or _share_left(course, goal).min() < 1 - (
        course.thresholds.moved_share
    ):
        return 2
    return int(course.attempt(goal) is not None)


def _of_goal(course: Course, goal: int) -> Failure:
    subject = course.subjects[goal]
    hold, reached = course.hold(subject), np.flatnonzero(course.holds(goal)[1:]) + 1
    if len(reached) and (hold is None or hold.end <= reached[-1] + course.steps(1.0)):
        what = course.facts[0].goals[goal].text
        evidence = f"{what!r} held from step {reached[0]} on, but not after step {reached[-1]}"
        return Failure("placed but goal not met", int(reached[-1]), evidence)
    if hold is not None and hold.end >= course.last - course.steps(0.25):
        return _still_held(course, goal, hold)
    if hold is not None:
        return _let_go(course, goal, hold)
    return _nearly(course, goal) or _first_mishap(course, goal)


def _still_held(course: Course, goal: int, hold: Hold) -> Failure:
    gap, end = course.gap(goal), course.last
    lacking = f"{hold.name} was still held, {_cm(gap[-1])} from its place"
    if gap[-1] <= course.thresholds.near_m:
        return Failure("near miss at timeout", int(gap.argmin()), lacking)
    swinging, hit = course.oscillation(), course.collision(goal)
    if swinging and swinging[0] >= hold.start:
        evidence = f"turned back {swinging[1]} times with {hold.name} in the fingers"
        return Failure("oscillation", swinging[0], evidence)
    if hit and hit[0] >= hold.start:
        return Failure("collision", hit[0], hit[1])
    return Failure("other", end, f"{lacking}, when the steps ran out")


def _let_go(course: Course, goal: int, hold: Hold) -> Failure:
    limits, place = course.thresholds, course.facts[0].goals[goal].receptacle
    rest = min(course.last, hold.end + course.steps(limits.settle_s))
    height = course.position(hold.name)[:, 2]
    fall = float(height[hold.end] - height[hold.end : rest + 1].min())
    gap = float(course.gap(goal)[rest])
    where = f"{hold.name} was let go at step {hold.end} and lay {_cm(gap)} from its place"
    if place:
        release = slice(max(0, hold.end - course.steps(limits.release_s)), hold.end + 2)
        touch = course.touch(hold.name, place)
        if touch[release].any() or touch[rest]:
            evidence = f"{where}, {'' if touch[rest] else 'no longer '}touching {place}"
            return Failure("placed but goal not met", hold.end, evidence)
    if fall >= limits.fall_m:
        return Failure("dropped", hold.end, f"{hold.name} fell {_cm(fall)} at step {hold.end}")
    if gap <= limits.at_place_m:
        return Failure("placed but goal not met", hold.end, where)
    return Failure("wrong place", hold.end, where)


def _nearly(course: Course, goal: int) -> Failure | None:
    """A joint, or something pushed and not lifted, that was almost there at the end."""
    name, gap, left = course.subjects[goal], course.gap(goal), _share_left(course, goal)
    if name not in course.facts[0].objects:
        if left[-1] <= course.thresholds.near_share:
            evidence = f"{name} had {100 * left[-1]:.0f} % of its way left"
            return Failure("near miss at timeout", int(left.argmin()), evidence)
        if left.min() < 1 - course.thresholds.moved_share:
            evidence = f"{name} was moved {100 * (1 - left.min()):.0f} % of its way and no further"
            return Failure("missed grasp", int(left.argmin()), evidence)
    elif gap[-1] <= course.thresholds.near_m and left[-1] < 0.5:
        evidence = f"{name} was pushed to {_cm(gap[-1])} from its place"
        return Failure("near miss at timeout", int(gap.argmin()), evidence)
    return None


def _first_mishap(course: Course, goal: int) -> Failure:
    """What went wrong first where the goal's subject was never lifted."""
    name, distance = course.subjects[goal], course.distance(goal)
    nearest, least = int(distance.argmin()), _cm(float(distance.min()))
    found: list[Failure] = []
    if attempt := course.attempt(goal):
        found.append(
            Failure("missed grasp", attempt, f"the fingers closed at {name} and did not lift it")
        )
    if wrong := course.wrong_object(goal):
        evidence = f"the fingers closed on {wrong[1]}, not on {name}"
        found.append(Failure("wrong object", wrong[0], evidence))
    if hit := course.collision(goal, but=wrong[1] if wrong else ""):
        found.append(Failure("collision", hit[0], hit[1]))
    if swinging := course.oscillation():
        evidence = f"the hand turned back {swinging[1]} times"
        found.append(Failure("oscillation", swinging[0], evidence))
    if found:
        return min(found, key=lambda failure: failure.step)
    if distance.min() <= course.thresholds.approach_m:
        evidence = f"the fingers came within {least} of {name} and never closed there"
        return Failure("missed grasp", nearest, evidence)
    return Failure(
        "never approached", nearest, f"the fingers came no nearer to {name} than {least}"
    )


def _share_left(course: Course, goal: int) -> np.ndarray:
    """What a goal lacks as a share of what it lacked at first, [T + 1]."""
    gap = course.gap(goal)
    return gap / max(float(gap[0]), 1e-9)


def _cm(metres: float) -> str:
    return f"{100 * metres:.1f} cm"
