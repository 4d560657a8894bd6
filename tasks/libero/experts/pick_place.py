"""Skills that move a loose object: pick it up, carry it, put it down."""

import numpy as np

from .geometry import UP, HeightMap, about, lower_surface
from .grasps import Grasp, top_grasps
from .motion import Actions, Mover
from .placements import Placement, Placer
from .scene import Scene

CLEAR = 0.04  # m above everything on the way
EASY = 0.12  # cost of placing; a grasp with less is good enough
MAX_TRIES = 6  # grasps looked at for a better one
NO_PLACE = 1.0  # penalty of a grasp with which the object cannot be placed
SLIP = 0.025  # m between hand and object: beyond this the object is lost
STILL = 1e-4  # m; what has moved by less stands where it stood: things at rest tremble less


def corridor_top(
    scene: Scene, start: np.ndarray, end: np.ndarray, skip: tuple[int, ...], radius: float
) -> float:
    """Highest surface (m, world z) within `radius` m of the segment between two points."""
    center = (start + end) / 2
    reach = np.abs(end - start)[:2].max() / 2 + radius
    pts = scene.points_near(scene.others(skip), center, reach, step=0.02)
    way = (end - start)[:2]
    along = np.clip((pts[:, :2] - start[:2]) @ way / max(way @ way, 1e-9), 0, 1)
    near = np.linalg.norm(pts[:, :2] - start[:2] - along[:, None] * way, axis=1) < radius
    return float(pts[near, 2].max()) if near.any() else -np.inf


def _alike(one: Grasp, other: Grasp) -> bool:
    near = np.linalg.norm(one.pos - other.pos) < 0.025
    return bool(near and abs(one.rot[:, 0] @ other.rot[:, 0]) > 0.9)


class Hands:
    """Pick and place with one hand."""

    def __init__(self, scene: Scene, mover: Mover) -> None:
        self.scene, self.mover = scene, mover
        self.held: str | None = None
        self._offset = np.zeros(3)  # held object's origin in the grip frame at the grasp, m
        self._failed: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        # What cannot be grasped where it stands, and where everything stood then.
        self._hopeless: dict[tuple[str, str, bool], np.ndarray] = {}

    # ---- what is in the hand
    def _object_in_grip(self, name: str) -> np.ndarray:
        return self.scene.hand_rot.T @ (self.scene.pos(name) - self.scene.hand_pos)

    def holding(self, name: str) -> bool:
        """Whether the object is still where it was grasped, between the fingers."""
        if self.held != name:
            return False
        return bool(np.linalg.norm(self._object_in_grip(name) - self._offset) < SLIP)

    # ---- pick
    def pick(self, name: str, target: str, inside: bool) -> Actions:
        """Grasp an object from above and lift it a little; value: whether it is held.

        `target` is where it will go (In if `inside`): the grasp must suit the placing too.
        """
        s, mv = self.scene, self.mover
        mv.grip, self.held = -1.0, None
        grasp = self._choose(name, target, inside)
        if grasp is None:
            return False
        rot = mv.arm.nearest_twin(grasp.rot, grasp.pos)
        start = s.pos(name)
        top = corridor_top(s, s.hand_pos, grasp.pos, (), 0.09)
        yield from mv.over(grasp.pos, rot, max(grasp.pos[2] + 0.06, top + 0.02))
        if np.linalg.norm(s.pos(name) - start) > 0.03:
            return False  # it moved meanwhile: look again, this is no fault of the grasp
        yield from mv.close(rot)
        self._offset, self.held = self._object_in_grip(name), name
        away = self._way_out(name)
        if away is not None:
            yield from mv.goto(s.hand_pos + np.r_[away, 0.012], rot, tol=0.012, steps=30, speed=0.6)
        height = s.pos(name)[2]
        for _ in range(12):
            yield mv.toward(s.hand_pos + 0.05 * UP, rot)
            if s.pos(name)[2] - height > 0.025:
                break
        if self.holding(name) and s.pos(name)[2] - height > 0.012:
            return True
        self._remember_failure(name, grasp)
        yield from mv.open(rot)
        yield from mv.goto(s.hand_pos + 0.08 * UP, rot, tol=0.02, steps=12)
        return False

    def _way_out(self, name: str) -> np.ndarray | None:
        """Shortest displacement (2,), m, after which the object can be lifted straight up.

        None if nothing is above it (it may stand in a drawer, partly under the cabinet's top).
        """
        s = self.scene
        body = s.geoms(s.root(name))
        obj, center = s.points(body), s.pos(name)
        world = s.points_near(s.others(body), center, 0.3)
        ground = HeightMap(world, center, 0.3, floor=center[2] - 0.3)
        angles = np.arange(16) * np.pi / 8
        rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        shifts = np.concatenate(
            [np.zeros((1, 2)), *(rays * r for r in np.arange(0.02, 0.15, 0.01))]
        )
        free = np.flatnonzero(ground.drop(lower_surface(obj), shifts)[0] < 0.03)
        return shifts[free[0]] if len(free) and free[0] > 0 else None

    def _choose(self, name: str, target: str, inside: bool) -> Grasp | None:
        """Best grasp for picking and placing that has not failed before on this object."""
        if self._still_hopeless(name, target, inside):
            return None
        s, arm = self.scene, self.mover.arm
        margin = 0.05 * UP  # the object is carried above the surface
        there = arm.lean(s.center(target) + margin)
        body = s.geoms(s.root(name))
        obj = s.points(body)
        near = s.points_near(s.others(body), obj.mean(0), 0.25, step=0.008)
        placer = Placer(s, name, target, inside)

        def tilt(straight: np.ndarray, at: np.ndarray) -> np.ndarray:
            # The hand keeps its lean while it carries: take the larger of both ends.
            return arm.leaning(straight, at, max(there, arm.lean(at + margin)))

        choice, best = None, -np.inf
        seen: list[Grasp] = []
        for grasp in top_grasps(obj, near, tilt):
            if self._has_failed(name, grasp) or any(_alike(grasp, other) for other in seen):
                continue
            seen.append(grasp)
            spot = placer.best(grasp.pos, grasp.rot)
            value = grasp.score - (NO_PLACE if spot is None else spot.cost)
            if value > best:
                choice, best = grasp, value
            if (spot is not None and spot.cost < EASY) or len(seen) >= MAX_TRIES:
                break
        if choice is None and self._failed.pop(name, None) is None:
            self._hopeless[name, target, inside] = s.stand()
        return choice  # where all that is left has failed before, the next search starts again

    def _still_hopeless(self, name: str, target: str, inside: bool) -> bool:
        """Whether a search for a grasp would go through the same again, which takes seconds."""
        then = self._hopeless.get((name, target, inside))
        return then is not None and bool(np.abs(self.scene.stand() - then).max() < STILL)

    def _has_failed(self, name: str, grasp: Grasp) -> bool:
        inverse = self.scene.rot(name).T
        pos, rot = inverse @ (grasp.pos - self.scene.pos(name)), inverse @ grasp.rot
        return any(
            np.linalg.norm(pos - p) < 0.012 and abs(rot[:, 0] @ r[:, 0]) > 0.95
            for p, r in self._failed.get(name, [])
        )

    def _remember_failure(self, name: str, grasp: Grasp) -> None:
        s = self.scene
        inverse = s.rot(name).T
        entry = inverse @ (grasp.pos - s.pos(name)), inverse @ grasp.rot
        self._failed.setdefault(name, []).append(entry)

    # ---- place
    def place(self, name: str, target: str, inside: bool) -> Actions:
        """Carry the held object to In/On `target` and let go; value: whether it was let go there.

        The spot is planned once in the air and corrected for slip before the descent.
        """
        s, mv = self.scene, self.mover
        spot = Placer(s, name, target, inside).best(s.hand_pos, s.hand_rot)
        if spot is None:
            self.held = None  # the next attempt takes another grasp
            return False
        if not (yield from self._carry(name, spot)):
            return False
        rot = s.hand_rot
        yield from mv.open(rot)
        self.held = None
        yield from mv.goto(s.hand_pos + 0.08 * UP, rot, tol=0.02, steps=12)
        return True

    def _carry(self, name: str, spot: Placement) -> Actions:
        s, mv = self.scene, self.mover
        body = s.geoms(s.root(name))
        pts = s.points(body)
        rot = about(UP, spot.yaw) @ s.hand_rot
        goal = s.hand_pos + spot.shift
        goal[2] += 0.004  # let go just above the rest: pressing would tilt the object
        below = s.hand_pos[2] - pts[:, 2].min()
        radius = np.linalg.norm((pts - s.hand_pos)[:, :2], axis=1).max() + 0.03
        top = corridor_top(s, s.hand_pos, goal, body, max(radius, 0.07))
        for action in mv.over(goal, rot, max(top + CLEAR + below, goal[2])):
            if not self.holding(name):
                return False
            yield action
        return True
