"""What is stored of each moment: enough to draw it and to tell what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import mujoco
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Snapshot:
    """One moment, float64 each.

    Attributes:
        qpos: [nq], the joints as the cameras see them.
        mocap_pos, mocap_quat: [1, 3], [1, 4], the target that the hand follows.
        marks: [k, 3], m, sites that upstream places in the data and not in the model.
        target: [3], m, the environment's own idea of where the goal is.
    """

    qpos: NDArray[np.float64]
    mocap_pos: NDArray[np.float64]
    mocap_quat: NDArray[np.float64]
    marks: NDArray[np.float64]
    target: NDArray[np.float64]

    @classmethod
    def of(cls, env: Any, qpos: NDArray[np.float64], marks: Sequence[int]) -> Self:
        """The present moment of an upstream environment, whose bodies are placed by ``qpos``."""
        data = env.data
        return cls(
            qpos,
            data.mocap_pos.copy(),
            data.mocap_quat.copy(),
            data.site_xpos[list(marks)],
            np.array(env._target_pos, np.float64),
        )

    def flat(self) -> NDArray[np.float64]:
        """All numbers in one row."""
        parts = (self.qpos, self.mocap_pos, self.mocap_quat, self.marks, self.target)
        return np.concatenate([part.ravel() for part in parts])

    @classmethod
    def read(cls, flat: NDArray[np.float64], nq: int) -> Self:
        """The inverse of :meth:`flat` for a model of ``nq`` positions."""
        qpos, pos, quat, marks, target = np.split(flat, [nq, nq + 3, nq + 7, len(flat) - 3])
        return cls(qpos, pos[None], quat[None], marks.reshape(-1, 3), target)


def seen_qpos(
    model: mujoco.MjModel, data: mujoco.MjData, scratch: mujoco.MjData
) -> NDArray[np.float64]:
    """The joints [nq] that the bodies of ``data`` are placed by, after a reset.

    Five tasks' resets leave the bodies where they were 2.5 ms before, up to 0.6 mm away, which
    upstream's pictures and readings show: one Euler step back. In window-close they also leave
    the window shut until the first step, though its joint is open; what is open is shown open.
    ``scratch`` is overwritten.
    """
    scratch.qpos[:] = data.qpos
    scratch.mocap_pos[:], scratch.mocap_quat[:] = data.mocap_pos, data.mocap_quat
    mujoco.mj_kinematics(model, scratch)
    qpos = data.qpos.copy()
    if not np.array_equal(scratch.xpos, data.xpos):
        mujoco.mj_integratePos(model, qpos, data.qvel, -model.opt.timestep)
    return qpos
