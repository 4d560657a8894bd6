"""Where to put a held object so that a goal predicate will hold."""

from dataclasses import dataclass

import numpy as np

from .geometry import UP, HeightMap, about, lower_surface, thin
from .grasps import hand_surface
from .scene import Scene

REACH = 0.28  # m; half side of the height map around the target
HAND_GAP = 0.006  # m between the hand and what it would touch first
STEP = 0.008  # m between the candidate positions
YAWS = (0.0, np.pi / 4, -np.pi / 4, np.pi / 2, -np.pi / 2)


@dataclass(frozen=True)
class Placement:
    """Rigid motion of the held object that ends in its resting pose."""

    shift: np.ndarray  # (3,), m, world: displacement of the grip site
    yaw: float  # rad about the vertical through the grip site
    drop: float  # m of free fall when the fingers open there
    cost: float


class Placer:
    """Evaluates grasps of one object by where they let it be put In/On one target."""

    def __init__(self, scene: Scene, name: str, target: str, inside: bool) -> None:
        """Look at the scene as it is; `inside`: In (origin within the region), otherwise On."""
        self._scene, self._target, self._inside = scene, target, inside
        body = scene.geoms(scene.root(name))
        center = scene.center(target)
        self._obj = thin(scene.points(body), 0.004)
        self._origin = scene.pos(name)
        world = scene.points_near(scene.others(body), center, REACH)
        self._ground = HeightMap(world, center, REACH, floor=center[2] - 0.3)
        self._spots = _spots(scene, target)

    def best(self, grip: np.ndarray, rot: np.ndarray) -> Placement | None:
        """Best placement for an object held at grip-site pose (3,), (3, 3); None if there is none.

        The object is where it was at construction, the pose relative to that.
        """
        best = None
        for yaw in YAWS:
            if best is not None and best.drop < 0.03 and abs(yaw) > 0.1:
                break  # turning is only worth it when nothing good was found without
            found = self._turned(grip, rot, yaw)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
        return best

    def _turned(self, grip: np.ndarray, rot: np.ndarray, yaw: float) -> Placement | None:
        turn, spots, ground = about(UP, yaw), self._spots, self._ground
        obj = (self._obj - grip) @ turn.T + grip
        origin = turn @ (self._origin - grip) + grip
        shifts = spots - origin[:2]
        rest = ground.drop(lower_surface(obj), shifts)
        hand = lower_surface(hand_surface(grip, turn @ rot))
        drop = np.maximum(ground.drop(hand, shifts) + HAND_GAP - rest, 0.0)
        ok = _satisfies(self._scene, self._target, self._inside, np.c_[spots, origin[2] + rest])
        if not ok.any():
            return None
        # A low rest is a flat one; tipping over is worst, falling worse than off the middle.
        off = np.linalg.norm(spots - spots[0], axis=1)
        cost = off + 4.0 * (rest - rest[ok].min()) + drop + 0.01 * abs(yaw)
        k = np.flatnonzero(ok)[np.argmin(cost[ok])]
        return Placement(np.r_[shifts[k], rest[k] + drop[k]], yaw, float(drop[k]), float(cost[k]))


def _spots(scene: Scene, target: str) -> np.ndarray:
    """Candidate positions (K, 2) of the object's origin, m, world; the first is the ideal one."""
    if not scene.is_region(target):
        ring = np.array([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * STEP
        return scene.pos(target)[:2] + ring
    center, axes, half = scene.region(target)
    extent = np.abs(axes) @ half
    steps = [np.arange(STEP, e, STEP) for e in extent[:2]]
    axis = [np.r_[0.0, s, -s] for s in steps]
    grid = np.stack(np.meshgrid(*axis, indexing="ij"), -1).reshape(-1, 2)
    return center[:2] + grid


def _satisfies(scene: Scene, target: str, inside: bool, origin: np.ndarray) -> np.ndarray:
    """Which of the object origins (K, 3) the goal predicate accepts, with some margin."""
    if not scene.is_region(target):
        return origin[:, 2] >= scene.pos(target)[2]
    center, axes, half = scene.region(target)
    if inside:
        size = np.abs(axes @ half)
        gap = size - np.abs(origin - center)
        low_ok = origin[:, 2] > center[2] - size[2] - 0.008
        return (gap[:, :2] > 0.008).all(1) & low_ok & (origin[:, 2] < center[2] + size[2])
    local = (origin - center) @ axes.T  # the predicate applies the matrix this way round
    level = (local[:, 2] > half[2] - 0.005) & (local[:, 2] < half[2] + 0.10)
    return level & (half[:2] - np.abs(local[:, :2]) > np.minimum(0.01, half[:2] / 3)).all(1)
