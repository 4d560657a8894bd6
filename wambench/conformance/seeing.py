"""Lines about what is seen: is the policy nearest to the expert as it asks to be shown things?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wambench.conformance.comparing import Comparison, compare, judged, motion_errors
from wambench.conformance.line import Result, unchecked
from wambench.conformance.subject import Change, Subject
from wambench.contract import Observation

Vector = NDArray[np.float64]
NO_PICTURES = "it reads no pictures"
NO_STATE = "it reads no state of several numbers"
TURNS: Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned by 180°": lambda image: image[::-1, ::-1],
}


def orientation(subject: Subject) -> Result:
    """All pictures turned the three other ways."""
    if not subject.policy.spec.cameras:
        return unchecked(NO_PICTURES)
    result = _judged_inputs(subject, {name: _turned(turn) for name, turn in TURNS.items()})
    if subject.judge or result.status != "cannot be checked":
        return result
    control = _with_pictures_of_others(subject).describe()
    return unchecked(f"{result.found}; to compare: {control}")


def _with_pictures_of_others(subject: Subject) -> Comparison:
    """How much pictures matter at all: those of a look half the list away, of another task."""
    looks = subject.looks
    others = [looks[(index + len(looks) // 2) % len(looks)] for index in range(len(looks))]
    answers = [
        subject.ask(replace(look, seen=replace(look.seen, images=other.seen.images)))
        for look, other in zip(looks, others, strict=True)
    ]
    declared = motion_errors(subject, subject.answers)
    return compare("another scene's pictures", looks, declared, motion_errors(subject, answers))


def _turned(turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Change:
    def change(seen: Observation) -> Observation:
        images = {name: np.ascontiguousarray(turn(image)) for name, image in seen.images.items()}
        return replace(seen, images=images)

    return change


def camera_order(subject: Subject) -> Result:
    """Each two cameras' pictures swapped."""
    cameras = subject.policy.spec.cameras
    if len(cameras) < 2:
        return unchecked("it reads one camera" if cameras else NO_PICTURES)
    pairs = itertools.combinations(cameras, 2)
    return _judged_inputs(
        subject, {f"{one} and {other} swapped": _crossed(one, other) for one, other in pairs}
    )


def _crossed(one: str, other: str) -> Change:
    return lambda seen: replace(
        seen, images={**seen.images, one: seen.images[other], other: seen.images[one]}
    )


def rotation_sign(subject: Subject) -> Result:
    """Rotations as they are against the form with w >= 0, where the two differ."""
    names = [name for name in subject.policy.spec.proprio if name in CANONICAL]
    if not names:
        return unchecked("it reads no rotation")
    if subject.judge:
        return unchecked(subject.judge)

    def change(seen: Observation) -> Observation:
        flipped = {name: CANONICAL[name](seen.proprio[name]) for name in names}
        return replace(seen, proprio={**seen.proprio, **flipped})

    def differs(seen: Observation) -> bool:
        other = change(seen).proprio
        return any(not np.allclose(seen.proprio[name], other[name]) for name in names)

    looks = [look for look in subject.looks if differs(look.seen)]
    if not looks:
        return unchecked("nowhere in these episodes is w < 0")
    return _judged_inputs(replace(subject, looks=looks), {"flipped to w >= 0": change})


def canonical_axis_angle(vector: Vector) -> Vector:
    """A rotation vector [3] as the one of at most half a turn: what w >= 0 makes of it."""
    angle = float(np.linalg.norm(vector))
    return vector * (angle - 2 * np.pi) / angle if angle > np.pi else vector


CANONICAL: Mapping[str, Callable[[Vector], Vector]] = {
    "eef_axis_angle": canonical_axis_angle,
    "eef_quat": lambda quaternion: -quaternion if quaternion[3] < 0 else quaternion,
}


def state_order(subject: Subject) -> Result:
    """States in another order each, and states of one length in each other's place."""
    changes = dict(_orders(subject))
    return _judged_inputs(subject, changes) if changes else unchecked(NO_STATE)


def _orders(subject: Subject) -> Iterator[tuple[str, Change]]:
    state = subject.looks[0].seen.proprio
    for name in subject.policy.spec.proprio:
        if len(state[name]) == 4:
            yield f"{name} w first", _replaced(name, lambda value: np.roll(value, 1))
        elif len(state[name]) > 1 and name not in CANONICAL:  # its sign has a line of its own
            yield f"{name} reversed", _replaced(name, lambda value: value[::-1])
    for one, other in itertools.combinations(subject.policy.spec.proprio, 2):
        if len(state[one]) == len(state[other]):
            yield f"{one} and {other} swapped", _exchanged(one, other)


def _replaced(name: str, order: Callable[[Vector], Vector]) -> Change:
    return lambda seen: replace(
        seen, proprio={**seen.proprio, name: np.ascontiguousarray(order(seen.proprio[name]))}
    )


def _exchanged(one: str, other: str) -> Change:
    return lambda seen: replace(
        seen, proprio={**seen.proprio, one: seen.proprio[other], other: seen.proprio[one]}
    )


def _judged_inputs(subject: Subject, changes: Mapping[str, Change]) -> Result:
    if subject.judge:
        return unchecked(subject.judge)
    declared = motion_errors(subject, subject.answers)

    def compared(what: str, change: Change) -> Comparison:
        answers = [subject.changed(look, change) for look in subject.looks]
        return compare(what, subject.looks, declared, motion_errors(subject, answers))

    return judged([compared(what, change) for what, change in changes.items()])
