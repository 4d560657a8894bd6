"""Closed-loop hand motions: generators that yield one action per control step."""

from collections.abc import Generator

import numpy as np

from .arm import Arm
from .geometry import rotvec
from .scene import Scene

# The controller takes an offset from the present pose, scaled so that 1 means these amounts.
POS_SCALE = 0.05  # m
ROT_SCALE = 0.5  # rad
MAX_TURN = 0.7  # of the rotational action; faster turns shake the held object
OPEN, CLOSED = -1.0, 1.0

# Yields actions (7,); the value tells whether the skill succeeded.
Actions = Generator[np.ndarray, None, bool]
Moves = Generator[np.ndarray, None, None]  # the same without a value


class Stall:
    """Notices that the hand no longer moves: blocked, or as near as it gets under the load."""

    def __init__(self, scene: Scene, patience: int) -> None:
        """`patience`: control steps without motion before it says so."""
        self._scene, self._patience = scene, patience
        self._still = 0
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self) -> bool:
        """To be called once per control step."""
        pos, rot = self._scene.hand_pos, self._scene.hand_rot
        if self._last is not None:
            turned = np.linalg.norm(rotvec(rot @ self._last[1].T))
            moved = np.linalg.norm(pos - self._last[0]) + 0.1 * turned
            self._still = self._still + 1 if moved < 4e-4 else 0
        self._last = pos, rot
        return self._still >= self._patience


class Mover:
    """Turns hand targets into actions; remembers only the commanded gripper state."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.arm = Arm(scene)
        self.grip = OPEN

    def toward(
        self, pos: np.ndarray, rot: np.ndarray | None, speed: float = 1.0, turn: float = MAX_TURN
    ) -> np.ndarray:
        """Compute the action (7,) toward `pos` (3,) m and `rot` (3, 3), world.

        The full error is commanded at once, up to `speed` and `turn`: with this controller's
        critical damping that is the fastest approach without overshoot.
        """
        s = self.scene
        step = (pos - s.hand_pos) / POS_SCALE
        step *= min(1.0, speed / max(np.abs(step).max(), 1e-9))
        spin = np.zeros(3) if rot is None else rotvec(rot @ s.hand_rot.T) / ROT_SCALE
        spin *= min(1.0, turn / max(np.abs(spin).max(), 1e-9))
        return np.clip(np.r_[step, spin, self.grip], -1.0, 1.0)

    def goto(
        self,
        pos: np.ndarray,
        rot: np.ndarray | None,
        tol: float = 0.008,
        steps: int = 60,
        speed: float = 1.0,
        rot_tol: float = 0.08,
    ) -> Actions:
        """Straight to a pose; ends within `tol` m and `rot_tol` rad, when stuck, or at `steps`.

        The generator's value tells whether the pose was reached.
        """
        s, stall = self.scene, Stall(self.scene, patience=4)
        for _ in range(steps):
            angle = 0.0 if rot is None else np.linalg.norm(rotvec(rot @ s.hand_rot.T))
            if np.linalg.norm(pos - s.hand_pos) < tol and angle < rot_tol:
                return True
            if stall():
                return False
            yield self.toward(pos, rot, speed)
        return False

    def over(
        self,
        pos: np.ndarray,
        rot: np.ndarray,
        height: float,
        steps: int = 120,
        speed: float = 1.0,
        landing: float = 0.5,
        tol: float = 0.006,
    ) -> Actions:
        """Rise to `height` (m, world), cross over and come down on a pose, as one smooth arc.

        Going down follows a funnel: the nearer the hand is to the vertical through the target
        (and to the orientation), the lower it may be. `landing` caps the speed near the end.
        Value: whether the pose was reached.
        """
        s, stall = self.scene, Stall(self.scene, patience=8)
        for _ in range(steps):
            err = pos - s.hand_pos
            away = np.hypot(err[0], err[1])
            angle = np.linalg.norm(rotvec(rot @ s.hand_rot.T))
            if away < tol and abs(err[2]) < tol and angle < 0.08:
                return True
            if stall():
                return False
            # Steep walls: fingers and held objects pass others with millimeters to spare.
            lift = max(4.0 * (away - 0.005), 0.3 * (angle - 0.06), 0.0)
            goal = np.r_[pos[:2], min(pos[2] + lift, max(height, pos[2]))]
            low = goal[2] - 0.01 - s.hand_pos[2]
            if away > 0.02 and low > 0:  # under the funnel: no sideways motion yet
                goal[:2] = s.hand_pos[:2] + err[:2] * np.clip(1.0 - low / 0.06, 0.0, 1.0)
            near = lift < 0.02 and abs(err[2]) < 0.05
            yield self.toward(goal, rot, landing if near else speed)
        return False

    def wait(self, steps: int, rot: np.ndarray | None = None) -> Moves:
        """Hold the present pose."""
        pos = self.scene.hand_pos
        rot = self.scene.hand_rot if rot is None else rot
        for _ in range(steps):
            yield self.toward(pos, rot)

    def close(self, rot: np.ndarray) -> Moves:
        """Close the fingers until they have met something and pressed on it."""
        self.grip = CLOSED
        pos, still, last = self.scene.hand_pos, 0, self.scene.opening
        for k in range(14):
            yield self.toward(pos, rot)
            still = still + 1 if abs(self.scene.opening - last) < 6e-4 and k > 2 else 0
            last = self.scene.opening
            if still >= 3:  # the commanded force still grows for some steps after contact
                return

    def open(self, rot: np.ndarray, steps: int = 5) -> Moves:
        """Open the fingers on the spot."""
        self.grip = OPEN
        yield from self.wait(steps, rot)
