"""Where to put a held object so that a goal predicate will hold."""

from dataclasses import dataclass

import numpy as np

from .geometry import UP, HeightMap, about, lower_surface, thin
from .grasps import hand_surface
from .scene import Scene

REACH = 0.28  # m; half side of the height map around the target
HAND_GAP = 0.006  # m between the hand and what it would touch first
STEP = 0.008  # m between the candidate positions
MAX_STEPS = 9  # to each side: bounds the planning time in large regions
BALANCED = 0.015  # m between the middles of the body and of its contacts: stands well
GOOD = 0.08  # cost; turning the object is only tried when nothing cheaper was found without
YAWS = (0.0, np.pi / 4, -np.pi / 4, np.pi / 2, -np.pi / 2)


@dataclass(frozen=True)
class Placement:
    """Rigid motion of the held object that ends in its resting pose."""

    shift: np.ndarray  # (3,), m, world: displacement of the grip site
    yaw: float  # rad about the vertical through the grip site
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
        # Under the inner half: a region may reach beyond the surface that it lies on.
        inner = np.abs(self._spots - center[:2]) <= np.ptp(self._spots, axis=0) / 4 + STEP
        self._floor = self._ground.lowest(self._spots[inner.all(1)])

    def best(self, grip: np.ndarray, rot: np.ndarray) -> Placement | None:
        """Best placement for an object held at grip-site pose (3,), (3, 3); None if there is none.

        The object is where it was at construction, the pose relative to that.
        """
        best = None
        for yaw in YAWS:
            found = self._turned(grip, rot, yaw)
            if found is not None and (best is None or found.cost < best.cost):
                best = found
            if best is not None and best.cost < GOOD:
                break
        return best

    def _turned(self, grip: np.ndarray, rot: np.ndarray, yaw: float) -> Placement | None:
        turn, spots, ground = about(UP, yaw), self._spots, self._ground
        obj = (self._obj - grip) @ turn.T + grip
        origin = turn @ (self._origin - grip) + grip
        shifts = spots - origin[:2]
        rest, lean = ground.drop(lower_surface(obj), shifts)
        hand = lower_surface(hand_surface(grip, turn @ rot))
        drop = np.maximum(ground.drop(hand, shifts)[0] + HAND_GAP - rest, 0.0)
        ok = _satisfies(self._scene, self._target, self._inside, np.c_[spots, origin[2] + rest])
        if not ok.any():
            return None
        # Tipping over is worst, then a high rest, falling, and being off the middle.
        off = np.linalg.norm(spots - spots[0], axis=1)
        high = rest + obj[:, 2].min() - self._floor
        cost = off + 2.0 * high + drop + 3.0 * np.maximum(lean - BALANCED, 0.0) + 0.01 * abs(yaw)
        k = np.flatnonzero(ok)[np.argmin(cost[ok])]
        shift = np.r_[shifts[k], rest[k] + drop[k]]
        return Placement(shift, yaw, float(cost[k]))


def _spots(scene: Scene, target: str) -> np.ndarray:
    """Candidate positions (K, 2) of the object's origin, m, world; the first is the ideal one."""
    if not scene.is_region(target):
        ring = np.array([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * STEP
        return scene.pos(target)[:2] + ring
    center, axes, half = scene.region(target)
    extent = np.abs(axes) @ half
    steps = [np.arange(1, MAX_STEPS + 1) * max(STEP, e / (MAX_STEPS + 1)) for e in extent[:2]]
    steps = [s[s < e] for s, e in zip(steps, extent, strict=False)]
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
