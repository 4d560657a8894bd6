"""The role of each pixel: ground truth for what a policy looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tasks.gl.canvas import NOTHING, Box
from tasks.metaworld.facts import FactFinder
from tasks.metaworld.snapshot import Snapshot
from tasks.metaworld.things import MARK
from wambench.facts import ARM, FINGERS, HAND, SCENE, Role

HALF = 0.02  # m: the marks that upstream draws have radii of 1 to 2 cm

OF_OWNER: Mapping[str, Role] = {
    FINGERS: "gripper",
    HAND: "gripper",
    ARM: "arm",
    SCENE: "background",
}


def boxes(finder: FactFinder, seen: Snapshot) -> Sequence[Box]:
    """A cube where a mark is, if the goal is there."""
    if finder.thing.place != MARK:
        return []
    return [Box(seen.target, np.eye(3), np.full(3, HALF))]


def masks(finder: FactFinder, shown: NDArray[np.int64]) -> Mapping[Role, NDArray[np.bool_]]:
    """Turn the bodies that pixels show, int64 [H, W], into role -> bool [H, W].

    What a mark's cube covers is the goal's. Where only the subject's own state counts, such as a
    door's, nothing is.
    """
    roles: list[Role] = [OF_OWNER.get(owner, _role(finder, owner)) for owner in finder.owners]
    padded = np.array([*roles, "goal", "background"])
    assert NOTHING == -1  # the last entry
    of_pixel = padded[shown]
    return {role: of_pixel == role for role in get_args(Role)}


def _role(finder: FactFinder, owner: str) -> Role:
    if owner == finder.subject:
        return "object"
    return "goal" if owner == finder.thing.place else "distractor"
