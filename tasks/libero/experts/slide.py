"""Skill for flat things that cannot be grasped: press on them and slide them over the table."""

from itertools import product

import numpy as np

from .geometry import DOWN, UP
from .motion import CLOSED, Actions, Mover
from .pick_place import CLEAR, corridor_top
from .scene import Scene

PRESS = 0.005  # m below the surface: the controller turns it into some newtons
FORWARD = 0.03  # m ahead of the middle: there the rising rim of a plate helps the friction
LEAD = 0.05  # m; how far ahead of itself the hand is sent
ARRIVED = 0.012  # m
EDGE = 0.015  # m to stay inside the border of the region


def slide(scene: Scene, mover: Mover, name: str, target: str) -> Actions:
    """Press closed fingers on an object and drag it to a region; value: whether it is there.

    The fingers slip inside a plate until they meet its rim, so the direction may change.
    """
    s = scene
    mover.grip = CLOSED
    center = s.pos(name)
    path = _path(s, name, target)
    pts = s.points(s.geoms(s.root(name)))
    middle = np.linalg.norm((pts - center)[:, :2], axis=1) < 0.03
    surface = float(pts[middle, 2].max())
    way = (path[0] - center[:2]) / np.linalg.norm(path[0] - center[:2])
    rot = mover.arm.nearest_twin(DOWN, center)
    start = np.r_[center[:2] + FORWARD * way, surface + 0.006]
    top = corridor_top(s, s.hand_pos, start, (), 0.09)
    yield from mover.over(start, rot, max(top + CLEAR, surface + 0.05), tol=0.008)
    for corner in path:
        for _ in range(80):
            left = corner - s.pos(name)[:2]
            if np.linalg.norm(left) < ARRIVED:
                break
            if np.linalg.norm((s.hand_pos - s.pos(name))[:2]) > 0.09:  # slipped over the rim
                break
            ahead = left * min(1.0, LEAD / np.linalg.norm(left))
            yield mover.toward(np.r_[s.hand_pos[:2] + ahead, surface - PRESS], rot)
    yield from mover.goto(s.hand_pos + 0.08 * UP, rot, tol=0.02, steps=12)
    return s.holds(["on", name, target])


def _path(scene: Scene, name: str, target: str) -> list[np.ndarray]:
    """Corners (2,) of the way into the region, straight or L-shaped, that pushes least else."""
    start = scene.pos(name)[:2]
    body = scene.geoms(scene.root(name))
    pts = scene.points(body)
    radius = np.linalg.norm(pts[:, :2] - start, axis=1).max()
    center, _, half = scene.region(target)
    near = scene.points_near(scene.others(body), center, 0.4, step=0.01)
    low, high = pts[:, 2].min(), pts[:, 2].max()
    blocks = near[(near[:, 2] > low + 0.004) & (near[:, 2] < high + 0.02), :2]
    reach = half[:2] - EDGE
    best, least = [center[:2]], np.inf
    for u, v in product((0.0, -1.0, 1.0, -0.5, 0.5), repeat=2):
        end = center[:2] + reach * [u, v]
        for corner in (end, np.r_[start[0], end[1]], np.r_[end[0], start[1]]):
            hit = _touched(blocks, start, corner, radius) | _touched(blocks, corner, end, radius)
            length = np.linalg.norm(corner - start) + np.linalg.norm(end - corner)
            cost = hit.sum() + 10.0 * length  # a point is worth 10 cm: prefer short free ways
            if cost < least:
                best, least = [corner, end], cost
    return best


def _touched(points: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Which points (N, 2) a disk passes over on its way between two places (2,)."""
    way = end - start
    along = np.clip((points - start) @ way / max(way @ way, 1e-9), 0.0, 1.0)
    return np.linalg.norm(points - start - along[:, None] * way, axis=1) < radius
