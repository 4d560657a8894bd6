"""Skill for flat things that cannot be grasped: press on them and slide them over the table."""

import numpy as np

from .geometry import DOWN, UP
from .motion import CLOSED, Actions, Mover
from .pick_place import CLEAR, corridor_top
from .scene import Scene

PRESS = 0.015  # m below the surface: the controller turns it into some newtons
LEAD = 0.03  # m; how far ahead of the object the hand is sent


def slide(scene: Scene, mover: Mover, name: str, target: str) -> Actions:
    """Press closed fingers on an object and drag it to a region; value: whether it is there."""
    s = scene
    mover.grip = CLOSED
    center = s.pos(name)
    pts = s.points(s.geoms(s.root(name)))
    middle = np.linalg.norm((pts - center)[:, :2], axis=1) < 0.03
    surface = float(pts[middle, 2].max())
    goal = s.center(target)
    rot = mover.arm.nearest_twin(DOWN, center)
    start = np.r_[center[:2], surface]
    top = corridor_top(s, s.hand_pos, start, (), 0.09)
    yield from mover.over(start, rot, max(top + CLEAR, surface + 0.05), tol=0.012)
    for _ in range(100):
        left = (goal - s.pos(name))[:2]
        if np.linalg.norm(left) < 0.01:
            break
        if np.linalg.norm((s.hand_pos - s.pos(name))[:2]) > 0.05:  # slipped off the object
            break
        ahead = left * min(1.0, LEAD / np.linalg.norm(left))
        yield mover.toward(np.r_[s.hand_pos[:2] + ahead, surface - PRESS], rot, speed=0.6)
    yield from mover.goto(s.hand_pos + 0.08 * UP, rot, tol=0.02, steps=12)
    return bool(np.linalg.norm((goal - s.pos(name))[:2]) < 0.02)
