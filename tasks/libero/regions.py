"""The role of each pixel: ground truth for what a policy looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import mujoco
import numpy as np
from numpy.typing import NDArray

from tasks.gl.canvas import NOTHING, Box
from tasks.libero.camera import VISUAL_GROUP
from tasks.libero.facts import FactFinder, inside, moved_body, receptacle
from wambench.facts import ARM, FINGERS, HAND, SCENE, Role

SLAB = 0.003  # m, half the height of a marked place: a sheet that the table does not swallow
RAY = 0.5  # m above a place: where a look down at the table begins
THIN = 1e-4  # m: how far a ray goes on behind what it has hit

OF_OWNER: Mapping[str, Role] = {
    FINGERS: "gripper",
    HAND: "gripper",
    ARM: "arm",
    SCENE: "background",
}


def boxes(finder: FactFinder, qpos: NDArray[np.float64]) -> Sequence[Box]:
    """Places on the table where the goal wants something: slabs that lie on its surface.

    In the scene they are invisible, and may lie below the surface.
    """
    scene = finder.scene
    finder.place(qpos)
    out = []
    for condition in finder.conditions:
        if len(condition) == 3 and not receptacle(scene, condition[2]):
            center, axes, half = scene.region(condition[2])
            center[2] = _surface(finder, center)
            out.append(Box(center, axes, np.r_[half[:2], SLAB]))
    return out


def _surface(finder: FactFinder, point: NDArray[np.float64]) -> float:
    """Height (m) of the table at a point [3], whatever stands there."""
    model, data = finder.scene.m, finder.scene.d
    visible, geom = np.zeros(mujoco.mjNGROUP, np.uint8), np.zeros(1, np.int32)
    visible[VISUAL_GROUP] = 1
    start = point + np.array([0.0, 0.0, RAY])
    while True:
        down = np.array([0.0, 0.0, -1.0])
        away = mujoco.mj_ray(model, data, start, down, visible, 1, -1, geom)
        if away < 0:  # nothing below: stay where the region is
            return float(point[2])
        start[2] -= away
        if finder.owners[model.geom_bodyid[geom[0]]] == SCENE:
            return float(start[2])
        start[2] -= THIN


def masks(finder: FactFinder, shown: NDArray[np.int64]) -> Mapping[Role, NDArray[np.bool_]]:
    """Turn the bodies that pixels show, int64 [H, W], into role -> bool [H, W].

    What a box covers is the goal's, as are whole pieces of furniture that hold the goal's place
    and have no moving part there; of a cabinet with drawers it is the drawer alone.
    """
    roles = _roles(finder)
    padded = np.array([*roles, *["goal"] * len(finder.conditions), "background"])
    assert NOTHING == -1  # the last entry
    of_pixel = padded[shown]
    return {role: of_pixel == role for role in get_args(Role)}


def _roles(finder: FactFinder) -> list[Role]:
    """Role of each body."""
    scene = finder.scene
    moved = {moved_body(scene, condition) for condition in finder.conditions}
    places = {
        receptacle(scene, condition[2]) for condition in finder.conditions if len(condition) == 3
    }
    out: list[Role] = []
    for body, owner in enumerate(finder.owners):
        role = OF_OWNER.get(owner, "goal" if owner in places else "distractor")
        out.append("object" if any(inside(scene.m, body, root) for root in moved) else role)
    return out
