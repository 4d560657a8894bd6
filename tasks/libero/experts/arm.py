"""What the Panda arm can reach, from its link lengths; needed where the controller gets stuck."""

import mujoco
import numpy as np

from .geometry import UP, about, rotvec
from .scene import Scene

WRIST_LIMIT = 2.6  # rad; the last joint stops at 2.9, and carrying needs some play
# Shoulder to wrist center: links of 0.316 and 0.384 m, each with an elbow offset of 0.0825 m,
# are straight (singular) at 0.719 m. Short of that the controller still moves well.
REACH = 0.665  # m
HAND_LENGTH = 0.205  # m, grip site to wrist center along the approach axis
WRIST_OFFSET = 0.088  # m, between the axes of the last two joints, toward the base
MAX_LEAN = 0.45  # rad


class Arm:
    """Kinematic rules of thumb for a hand that points (nearly) down."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._base = scene.id(mujoco.mjtObj.mjOBJ_JOINT, "robot0_joint1")
        self._shoulder = scene.id(mujoco.mjtObj.mjOBJ_JOINT, "robot0_joint2")
        self._wrist = scene.id(mujoco.mjtObj.mjOBJ_JOINT, "robot0_joint7")

    def azimuth(self, pos: np.ndarray) -> float:
        """Direction (rad about the vertical) from the base to a point (3,)."""
        away = pos[:2] - self._scene.d.xanchor[self._base][:2]
        return float(np.arctan2(away[1], away[0]))

    def lean(self, pos: np.ndarray) -> float:
        """Angle (rad) by which the fingers must point outward to reach `pos` (3,), 0 if near."""
        away = pos - self._scene.d.xanchor[self._shoulder]
        radius = np.hypot(away[0], away[1])
        for angle in np.arange(0.0, MAX_LEAN, 0.05):
            out = radius - HAND_LENGTH * np.sin(angle) - WRIST_OFFSET * np.cos(angle)
            up = away[2] + HAND_LENGTH * np.cos(angle) - WRIST_OFFSET * np.sin(angle)
            if np.hypot(out, up) < REACH:
                return float(angle)
        return MAX_LEAN

    def leaning(self, rot: np.ndarray, pos: np.ndarray, angle: float) -> np.ndarray:
        """`rot` (3, 3) pointing down, tilted so that the fingers point outward by `angle` rad."""
        azimuth = self.azimuth(pos)
        tangent = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
        return about(tangent, -angle) @ rot

    def nearest_twin(self, rot: np.ndarray, pos: np.ndarray) -> np.ndarray:
        """Of `rot` and the same grasp after half a turn: the nearer one that the wrist can reach.

        `pos` (3,) is where the hand is going: the base joint follows it, the wrist makes up
        for the rest.
        """
        s = self._scene
        swing = self.azimuth(pos) - self.azimuth(s.hand_pos)

        def effort(candidate: np.ndarray) -> float:
            turn = rotvec(candidate @ s.hand_rot.T) @ UP
            wrist = s.joint_value(self._wrist) + swing - turn
            return abs(turn) + 100.0 * max(0.0, abs(wrist) - WRIST_LIMIT)

        return min(rot, rot @ np.diag([-1.0, -1.0, 1.0]), key=effort)
