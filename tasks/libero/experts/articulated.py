"""Skills for joints of the furniture: drawers (slides), doors (hinges) and stove knobs."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from .geometry import DOWN, UP, about
from .grasps import Grasp, hand_overlap, top_grasps
from .motion import CLOSED, OPEN, Actions, Mover, Moves
from .pick_place import corridor_top
from .scene import Scene

BAR = 0.018  # m: the handle is what lies within this of the drawer's outermost plane
PULL_TILTS = np.deg2rad([70, 65, 75, 60, 80, 55, 85, 50])  # from vertical; steep needs room above
PULL_DEPTHS = (0.0, -0.004, -0.008)  # m past the middle of the bar
PULL_OFFSETS = (0.0, 0.008, -0.008, 0.016, -0.016, 0.022, -0.022)  # m along the closing axis
PUSH_TILT = np.deg2rad(40)  # the palm stays outside, clear of the handles above
PROUD = 0.008  # m above the walls of a drawer: more would catch on the cabinet
FINGER = 0.012  # m, half the thickness of a finger, with some play
LEAD = 0.10  # m (or rad): how far ahead of the joint the pushing hand is sent


class Joints:
    """Moves articulated furniture until a goal predicate about it holds."""

    def __init__(self, scene: Scene, mover: Mover) -> None:
        self.scene, self.mover = scene, mover

    # ---- drawers
    def _drawer(self, target: str) -> tuple[int, np.ndarray, np.ndarray]:
        """Joint, outward direction (3,) and handle points (N, 3) of a drawer."""
        s = self.scene
        joint = s.joint(target)
        low, high = s.m.jnt_range[joint]
        out = s.d.xaxis[joint] * (1.0 if high > -low else -1.0)
        pts = s.points(s.geoms(s.m.jnt_bodyid[joint]), step=0.004)
        reach = pts @ out
        return joint, out, pts[reach > reach.max() - BAR]

    def opening(self, target: str) -> float:
        """How far a drawer is out, m."""
        return abs(self.scene.joint_value(self.scene.joint(target)))

    def open_drawer(self, target: str) -> Actions:
        """Grasp the handle from the front, fingers above and below it, and pull."""
        s, mv = self.scene, self.mover
        joint, out, bar = self._drawer(target)
        mv.grip = OPEN
        pos, rot = self._handle_grasp(out, bar)
        back = pos - 0.07 * rot[:, 2]
        yield from mv.over(back, rot, self._height(back), tol=0.02)
        yield from mv.goto(pos, rot, tol=0.006, steps=25)
        yield from mv.close(rot)
        travel = np.ptp(s.m.jnt_range[joint]) - self.opening(target)
        goal = s.hand_pos + out * (travel + 0.02)
        for action in mv.goto(goal, rot, steps=45, speed=0.8):
            yield action
            if self.opening(target) > 0.155:
                break
        yield from mv.open(rot, steps=4)
        yield from mv.goto(s.hand_pos - 0.06 * rot[:, 2], rot, tol=0.02, steps=12)
        yield from mv.goto(s.hand_pos + 0.15 * UP, DOWN, tol=0.03, steps=15, rot_tol=0.5)
        return s.holds(["open", target])

    def _handle_grasp(self, out: np.ndarray, bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hand pose around a horizontal bar, fingers above and below, that touches least else."""
        s = self.scene
        center = (bar.min(0) + bar.max(0)) / 2
        center = center + out * ((bar @ out).max() - 0.008 - center @ out)
        near = s.points_near(s.others(), center, 0.15, step=0.008)
        local = np.abs(near - center)
        grasped = (local @ np.abs(out) < 0.02) & (local[:, 2] < 0.014)
        solid = near[~grasped & (local[:, 2] < 0.2)]
        best, least = (center, DOWN), np.inf
        for tilt, depth, off in product(PULL_TILTS, PULL_DEPTHS, PULL_OFFSETS):
            approach = -out * np.sin(tilt) - UP * np.cos(tilt)
            closing = UP * np.sin(tilt) - out * np.cos(tilt)
            rot = np.stack([closing, np.cross(approach, closing), approach], axis=1)
            pos = center + approach * depth + closing * off
            touched = hand_overlap(solid, pos, rot)
            if touched < least:
                best, least = (pos, rot), touched
            if not touched:
                break
        pos, rot = best
        return pos, self.mover.arm.nearest_twin(rot, pos)

    def close_drawer(self, target: str) -> Actions:
        """Push the handle with closed fingers, after pushing flat what sticks out."""
        s, mv = self.scene, self.mover
        joint, out, bar = self._drawer(target)
        wall = s.points(s.geoms(s.m.jnt_bodyid[joint]))[:, 2].max()
        for name in sorted(s.env.objects_dict):
            if s.holds(["in", name, target]) and self._top(name) > wall + PROUD:
                yield from self._tuck(name, out, wall)
        center = (bar.min(0) + bar.max(0)) / 2
        start, rot = center + 0.06 * out, self._fist(out, center)
        yield from mv.over(start, rot, self._height(start), tol=0.02)
        yield from self._push(-out, rot, 60, lambda: s.holds(["close", target]))
        yield from mv.goto(s.hand_pos + 0.08 * out + 0.05 * UP, rot, tol=0.03, steps=10)
        return s.holds(["close", target])

    def _top(self, name: str) -> float:
        s = self.scene
        return float(s.points(s.geoms(s.root(name)))[:, 2].max())

    def _tuck(self, name: str, out: np.ndarray, wall: float) -> Moves:
        """Drag an object that leans on the front wall of a drawer inward until it lies flat.

        The fingers reach into it: pushed from outside, a bowl would tip over the wall.
        """
        s = self.scene
        start = s.pos(name) + 0.03 * UP
        rot = self._fist(out, start)
        yield from self.mover.over(start, rot, self._height(start), tol=0.015)
        yield from self._push(-out, rot, 20, lambda: self._top(name) < wall + PROUD)
        yield from self.mover.goto(s.hand_pos + 0.08 * (out + UP), rot, tol=0.03, steps=10)

    def _fist(self, out: np.ndarray, pos: np.ndarray) -> np.ndarray:
        """Close the hand for pushing against `out`; returns its orientation (3, 3)."""
        self.mover.grip = CLOSED
        side = np.cross(UP, out)
        approach = -out * np.sin(PUSH_TILT) - UP * np.cos(PUSH_TILT)
        rot = np.stack([side, np.cross(approach, side), approach], axis=1)
        return self.mover.arm.nearest_twin(rot, pos)

    def _push(
        self, way: np.ndarray, rot: np.ndarray, steps: int, done: Callable[[], bool]
    ) -> Moves:
        """Move along `way` (3,) on the present line until `done` or for some steps."""
        line = self.scene.hand_pos
        for _ in range(steps):
            if done():
                return
            ahead = (self.scene.hand_pos - line) @ way + LEAD
            yield self.mover.toward(line + ahead * way, rot, speed=0.7)

    # ---- doors
    def close_door(self, target: str) -> Actions:
        """Push the door shut with the finger tips, just below its upper edge."""
        s, mv = self.scene, self.mover
        joint = s.joint(target)
        anchor, axis = s.d.xanchor[joint].copy(), s.d.xaxis[joint].copy()
        low, high = s.m.jnt_range[joint]
        toward = 1.0 if abs(high) < abs(low) else -1.0  # closed is the end of the range near 0
        mv.grip = CLOSED
        pts = s.points(s.geoms(s.m.jnt_bodyid[joint]))
        away = np.linalg.norm((pts - anchor)[:, :2], axis=1)
        top = pts[:, 2].max()
        edge = pts[(pts[:, 2] > top - 0.02) & (np.abs(away - 0.8 * away.max()) < 0.02)]
        arm = edge.mean(0) - anchor
        arm[2] = 0.0
        push = toward * np.cross(axis, arm) / np.linalg.norm(arm)
        behind = ((edge - anchor - arm) @ push).min() - FINGER - 0.012
        start_angle = s.joint_value(joint)

        def contact(angle: float, gap: float) -> np.ndarray:
            point = anchor + about(axis, angle - start_angle) @ (arm + (behind - gap) * push)
            return np.r_[point[:2], top - 0.012]

        rot = mv.arm.nearest_twin(DOWN, edge.mean(0))
        start = contact(start_angle, 0.03)
        yield from mv.over(start, rot, top + 0.06, tol=0.02)
        for _ in range(90):
            if s.holds(["close", target]):
                break
            angle = s.joint_value(joint)
            yield mv.toward(contact(angle + toward * 0.3, 0.0), rot, speed=0.7)
        yield from mv.goto(s.hand_pos + 0.1 * UP, rot, tol=0.03, steps=10)
        return s.holds(["close", target])

    # ---- knobs
    def turn_knob(self, target: str, on: bool) -> Actions:
        """Grasp the knob from above and turn it about its axis."""
        s, mv = self.scene, self.mover
        goal = ["turnon" if on else "turnoff", target]
        joint = s.joint(target)
        anchor, axis = s.d.xanchor[joint].copy(), s.d.xaxis[joint].copy()
        sense = 1.0 if on else -1.0
        for grasp in self._knob_grasps(joint, target):
            mv.grip = OPEN
            rot = mv.arm.nearest_twin(grasp.rot, grasp.pos)
            yield from mv.over(grasp.pos, rot, self._height(grasp.pos))
            yield from mv.close(rot)
            for k in range(1, 28):
                if s.holds(goal):
                    break
                turn = about(axis, sense * 0.08 * k)
                yield mv.toward(anchor + turn @ (grasp.pos - anchor), turn @ rot)
            yield from mv.open(s.hand_rot, steps=4)
            yield from mv.goto(s.hand_pos + 0.08 * UP, s.hand_rot, tol=0.03, steps=10)
            if s.holds(goal):
                return True
        return False

    def _knob_grasps(self, joint: int, target: str) -> Iterator[Grasp]:
        s, arm = self.scene, self.mover.arm
        knob = s.geoms(s.m.jnt_bodyid[joint])
        pts = s.points(knob)
        near = s.points_near(s.others(s.geoms(s.root(target))), pts.mean(0), 0.25)
        tried: list[np.ndarray] = []
        for grasp in top_grasps(pts, near, lambda rot, at: arm.leaning(rot, at, arm.lean(at))):
            if all(abs(grasp.rot[:, 0] @ t[:, 0]) < 0.95 for t in tried):
                tried.append(grasp.rot)
                yield grasp

    def _height(self, pos: np.ndarray) -> float:
        """Safe height of the hand (m, world) on the way to a position."""
        top = corridor_top(self.scene, self.scene.hand_pos, pos, (), 0.09)
        return max(top + 0.03, pos[2])
