"""One base task with all its variants on one axis of LIBERO-Plus, an initial state each.

Camera, robot, language and noise change nothing that is compiled: they are set on the base task's
scene at every reset, so an episode depends on its own variant alone. A variant that brings its own
goals or its own scene is compiled in its reset, unless it is what is open.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from tasks.libero.leftovers import forget_scene
from tasks.libero.plus import noise, wheel
from tasks.libero.plus.arenas import prepare
from tasks.libero.plus.scenes import Scene, scene_of
from tasks.libero.plus.variants import Variant
from tasks.libero.plus.viewpoint import moved
from tasks.libero.simulator import LiberoSimulator
from wambench.errors import UserError

CAMERA = "agentview"  # the only one that LIBERO-Plus moves or corrupts


class PlusSimulator(LiberoSimulator):
    """A task of a LIBERO-Plus suite.

    Args:
        suite: LIBERO's, "libero_spatial", …
        variants: its initial states.
        locks: why each cannot be run; empty if it can.
        base_state: float64 [1 + nq + nv], initial state 0 of the base task.
        posed: whether the joints are where the start pose says, see :meth:`reset`.
        rendering: a key of :data:`tasks.libero.offers.RENDERINGS`.
    """

    def __init__(
        self,
        suite: str,
        variants: Sequence[Variant],
        locks: Sequence[str],
        base_state: NDArray[np.float64],
        posed: bool,
        rendering: str,
    ) -> None:
        self._suite, self._variants, self._locks = suite, variants, locks
        self._base_state, self._posed, self._rendering = base_state, posed, rendering
        self._variant = next(v for v, lock in zip(variants, locks, strict=True) if not lock)
        self._open(scene_of(suite, self._variant))

    def _open(self, scene: Scene) -> None:
        self._compile(str(scene.goals), **prepare(scene))
        forget_scene()
        self._scene = scene
        model = self._env.sim.model._model
        camera = self._camera = model.camera(CAMERA).id
        self._base_view = model.cam_pos[camera].copy(), model.cam_quat[camera].copy()
        self._nominal = np.array(self._env.robots[0].init_qpos)

    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        """Begin an episode of a variant; raises UserError for one that is locked.

        LIBERO-Plus sets the robot's start pose when it resets, and its harness then sets the base
        task's initial state, joints included. What is left of the pose is the controller's goal
        orientation and null-space posture, towards which the arm swings while objects settle.
        ``posed`` suites put the arm's joints of the initial state, at rest, where the pose says.

        Every variant is its task's first and only trial, so ``seed_once_per_task`` changes nothing.
        """
        if self._locks[init_state]:
            raise UserError(self._locks[init_state])
        variant = self._variant = self._variants[init_state]
        scene = scene_of(self._suite, variant)
        if scene != self._scene:
            self.close()
            del self._env, self._stepper, self._drawer
            gc.collect()  # environments are circles, and hold a compiled scene each
            self._open(scene)
        self._place_camera(variant)
        state, robot = self._base_state, self._env.robots[0]
        if variant.own_state:
            (state,) = wheel.load_states(wheel.state_file(self._suite, variant.name))
        robot.init_qpos = wheel.start_poses()[variant.start] if variant.start else self._nominal
        if self._posed:
            state = self._with_arm(state, robot.init_qpos)
        self._begin(state, seed, 1)

    def _place_camera(self, variant: Variant) -> None:
        model = self._env.sim.model._model
        position, quaternion = moved(*self._base_view, variant.view)
        mujoco.mju_normalize4(quaternion)  # as the compiler does
        model.cam_pos[self._camera], model.cam_quat[self._camera] = position, quaternion

    def _with_arm(
        self, state: NDArray[np.float64], pose: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        robot, nq = self._env.robots[0], self._env.sim.model.nq
        out = state.copy()
        out[1 + np.array(robot._ref_joint_pos_indexes)] = pose
        out[1 + nq + np.array(robot._ref_joint_vel_indexes)] = 0.0
        return out

    def sense(
        self, frames: Mapping[str, NDArray[np.uint8]], snapshot: NDArray[np.float64]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Corrupt the agentview picture on the noise axis; see :mod:`tasks.libero.plus.noise`.

        Upstream draws from numpy's global generator, so that no frame is ever seen twice. Here the
        draw belongs to the variant and what it shows.
        """
        variant = self._variant
        if not variant.noise or CAMERA not in frames:
            return frames
        shown = hashlib.blake2b(variant.name.encode() + snapshot.tobytes(), digest_size=4).digest()
        generator = np.random.RandomState(int.from_bytes(shown, "little"))
        # Rows from bottom to top, as upstream's observations have them.
        picture = np.ascontiguousarray(frames[CAMERA][::-1])
        return {**frames, CAMERA: noise.corrupt(picture, variant.noise, generator)[::-1].copy()}
