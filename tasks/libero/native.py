"""The substeps of one control step as one compiled function: nothing of Python in between.

A control step of 50 ms is 25 times MuJoCo's step with robosuite's operational space controller in
the middle. Called one by one from Python, the controller's thirty small numpy operations cost more
than the physics. Here they are compiled by numba, and must come out with the same bits, so:

* what robosuite itself compiles (inverses, null space, orientation error) is called as it is;
* what it leaves to numpy's BLAS (a matrix times a vector) goes to that same BLAS function, the one
  inside numpy's own library; numba's ``np.dot`` would go to scipy's, which is another build;
* everything else is single multiplications and additions in robosuite's order. Numba does not fuse
  or reorder them unless it is told to.

``tests/test_stepping.py`` holds the parts, and ``tests/test_truth.py`` whole episodes, against the
originals. Symbols are found by name when the cached machine code is loaded, so nothing is compiled
twice on one machine.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import llvmlite.binding
import mujoco
import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from tasks.libero import runtime
from tasks.libero.leftovers import library

SUBSTEPS = 25  # 50 ms of control at 2 ms of simulation
OBSERVED_SUBSTEP = 23  # see tasks/libero/stepping.py

# numpy's wheels carry OpenBLAS under the first name, other builds under the others.
GEMV_NAMES = ("scipy_cblas_dgemv64_", "cblas_dgemv64_", "cblas_dgemv")
ROW_MAJOR, COLUMN_MAJOR, AS_IT_IS = 101, 102, 111  # of the CBLAS interface
VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)


def _foreign(name: str, address: int, result: Any, *arguments: Any) -> Any:
    """A C function that compiled code can call."""
    llvmlite.binding.add_symbol(name, address)
    return types.ExternalFunction(name, result(*arguments))


def _mujoco(name: str, *arguments: Any) -> Any:
    """A function of the MuJoCo library that is loaded, by its C name; arrays are addresses."""
    address = ctypes.cast(getattr(library(), name), ctypes.c_void_p).value
    assert address is not None
    return _foreign(f"wambench_{name}", address, types.void, *arguments)


def _numpy_gemv() -> Any:
    """``cblas_dgemv`` of the BLAS that numpy was built with.

    Sizes are passed as 64-bit integers; a BLAS of 32 bits reads the lower half.
    """
    numpy_core = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    for name in GEMV_NAMES:
        if hasattr(numpy_core, name):
            address = ctypes.cast(getattr(numpy_core, name), ctypes.c_void_p).value
            assert address is not None
            size, real, array = types.int64, types.float64, types.uintp
            return _foreign(
                "wambench_numpy_gemv", address, types.void,
                size, size, size, size, real, array, size, array, size, real, array, size,
            )  # fmt: skip
    raise OSError(
        f"numpy {np.__version__} was built without CBLAS; LIBERO's states depend on it: "
        "pip install --force-reinstall numpy"
    )


_robosuite = runtime.control_functions()
nullspace_torques = _robosuite.nullspace_torques
opspace_matrices = _robosuite.opspace_matrices
orientation_error = _robosuite.orientation_error

_POINTER, _INT = types.uintp, types.int32
_step1 = _mujoco("mj_step1", _POINTER, _POINTER)
_step2 = _mujoco("mj_step2", _POINTER, _POINTER)
_forward_skip = _mujoco("mj_forwardSkip", _POINTER, _POINTER, _INT, _INT)
_solve_again = _mujoco("mj_fwdConstraint", _POINTER, _POINTER)
_jac_site = _mujoco("mj_jacSite", _POINTER, _POINTER, _POINTER, _POINTER, _INT)
_full_m = _mujoco("mj_fullM", _POINTER, _POINTER, _POINTER)
_gemv = _numpy_gemv()


class Physics(NamedTuple):
    """A compiled scene and its state: addresses, and arrays in MuJoCo's own memory."""

    model: int
    data: int
    qpos: NDArray[np.float64]  # [nq]
    qvel: NDArray[np.float64]  # [nv]
    ctrl: NDArray[np.float64]  # [nu]
    mass: NDArray[np.float64]  # [nM], sparse
    bias: NDArray[np.float64]  # [nv], gravity and Coriolis forces
    ee_pos: NDArray[np.float64]  # [3], m
    ee_mat: NDArray[np.float64]  # [3, 3], C order


class Arm(NamedTuple):
    """Robosuite's controller and robot: what does not change within an episode."""

    site: int  # of the end effector
    positions: NDArray[np.int64]  # [7] in qpos
    velocities: NDArray[np.int64]  # [7] in qvel
    actuators: NDArray[np.int64]  # [7] in ctrl
    low: NDArray[np.float64]  # [7], N m
    high: NDArray[np.float64]  # [7], N m
    stiffness: NDArray[np.float64]  # [6], 1 / s^2
    damping: NDArray[np.float64]  # [6], 1 / s
    initial: NDArray[np.float64]  # [7], rad, where the null space pulls the joints


class Gripper(NamedTuple):
    """Two fingers that an action opens or closes at a fixed speed."""

    actuators: NDArray[np.int64]  # [2] in ctrl
    bias: NDArray[np.float64]  # [2], ctrl at 0
    weight: NDArray[np.float64]  # [2], ctrl from 0 to 1
    speed: float  # of a substep, in [-1, 1]


@njit(cache=True)
def prepare(physics: Physics) -> None:
    """Begin a substep: positions, velocities, and the two constraint solves before control.

    robosuite makes a forward pass before it asks the controller, which makes another. Only the
    solve differs between them: it starts from the solution before.
    """
    _step1(physics.model, physics.data)
    _forward_skip(physics.model, physics.data, VELOCITY_STAGE, 1)
    _solve_again(physics.model, physics.data)


@njit(cache=True)
def advance(
    physics: Physics,
    arm: Arm,
    gripper: Gripper,
    goal_pos: NDArray[np.float64],
    goal_mat: NDArray[np.float64],
    fingers: NDArray[np.float64],
    closing: float,
    first: int,
    drawn: NDArray[np.float64],
    read: NDArray[np.float64],
) -> None:
    """Take the substeps of a control step from number ``first`` on; 0 must have been prepared.

    Args:
        physics: the scene; its state goes on.
        arm: the controller's constants.
        gripper: the gripper's constants.
        goal_pos: [3], m, where the end effector should be.
        goal_mat: [3, 3], how it should be turned.
        fingers: [2], robosuite's ``current_action`` of the gripper; goes on.
        closing: sign of the action's last number.
        first: number of the first substep to take.
        drawn: [nq], gets the positions at the beginning of the substep that sensors see.
        read: [nq], gets the positions at its end.
    """
    size = physics.qvel.size
    jac_pos, jac_mat = np.zeros((3, size)), np.zeros((3, size))
    mass = np.zeros((size, size))
    for substep in range(first, SUBSTEPS):
        if substep > 0:
            prepare(physics)
        _jac_site(
            physics.model, physics.data, jac_pos.ctypes.data, jac_mat.ctypes.data, arm.site
        )  # fmt: skip
        _full_m(physics.model, mass.ctypes.data, physics.mass.ctypes.data)
        torques = _torques(physics, arm, goal_pos, goal_mat, jac_pos, jac_mat, mass)
        for joint in range(torques.size):
            torque = min(max(torques[joint], arm.low[joint]), arm.high[joint])
            physics.ctrl[arm.actuators[joint]] = torque
        for finger, direction in enumerate((-1.0, 1.0)):
            moved = fingers[finger] + direction * gripper.speed * closing
            fingers[finger] = min(max(moved, -1.0), 1.0)
            asked = gripper.bias[finger] + gripper.weight[finger] * fingers[finger]
            physics.ctrl[gripper.actuators[finger]] = asked
        if substep == OBSERVED_SUBSTEP:
            drawn[:] = physics.qpos
        _step2(physics.model, physics.data)
        if substep == OBSERVED_SUBSTEP:
            read[:] = physics.qpos


@njit(cache=True)
def _torques(
    physics: Physics,
    arm: Arm,
    goal_pos: NDArray[np.float64],
    goal_mat: NDArray[np.float64],
    jac_pos: NDArray[np.float64],
    jac_mat: NDArray[np.float64],
    mass: NDArray[np.float64],
) -> NDArray[np.float64]:
    """``OperationalSpaceController.run_controller`` of robosuite 1.4, [7], N m, not yet clipped.

    robosuite's slices of the Jacobian and of the mass matrix are in Fortran's order, and BLAS
    rounds differently in the two orders.
    """
    joints = arm.velocities.size
    j_pos, j_mat = np.empty((joints, 3)).T, np.empty((joints, 3)).T
    j_full = np.empty((joints, 6)).T
    m_arm = np.empty((joints, joints)).T
    for column in range(joints):
        source = arm.velocities[column]
        for row in range(3):
            j_pos[row, column] = j_full[row, column] = jac_pos[row, source]
            j_mat[row, column] = j_full[row + 3, column] = jac_mat[row, source]
        for row in range(joints):
            m_arm[row, column] = mass[arm.velocities[row], source]
    position, velocity = physics.qpos[arm.positions], physics.qvel[arm.velocities]

    speed, turning = _times(jac_pos, physics.qvel), _times(jac_mat, physics.qvel)
    turn = orientation_error(goal_mat, physics.ee_mat)
    force = (goal_pos - physics.ee_pos) * arm.stiffness[:3] + -speed * arm.damping[:3]
    torque = turn * arm.stiffness[3:] + -turning * arm.damping[3:]
    _, inertia_pos, inertia_mat, nullspace = opspace_matrices(m_arm, j_full, j_pos, j_mat)
    wrench = np.empty(6)
    wrench[:3], wrench[3:] = _times(inertia_pos, force), _times(inertia_mat, torque)
    torques = _times(j_full.T, wrench) + physics.bias[arm.velocities]
    return torques + nullspace_torques(m_arm, nullspace, arm.initial, position, velocity)


@njit(cache=True)
def _times(matrix: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """``np.dot(matrix, vector)`` as numpy does it; both contiguous, the matrix in any order."""
    rows, columns = matrix.shape
    out = np.empty(rows)
    order, lead = (ROW_MAJOR, columns) if matrix.flags.c_contiguous else (COLUMN_MAJOR, rows)
    _gemv(
        order, AS_IT_IS, rows, columns, 1.0, matrix.ctypes.data, lead,
        vector.ctypes.data, 1, 0.0, out.ctypes.data, 1,
    )  # fmt: skip
    return out
