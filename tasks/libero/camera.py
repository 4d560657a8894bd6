"""Draw camera frames from joint positions, apart from the simulation in progress.

Frames are drawn from a scratch MjData, so that a frame drawn live, a frame drawn after the
episode and a frame drawn on another day from the store take one and the same path, and the
simulation never pays for a render it does not need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

# robosuite hides the collision meshes (group 0) and shows the visual ones (group 1).
COLLISION_GROUP, VISUAL_GROUP = 0, 1
MAX_SCENE_GEOMS = 1000  # as robosuite's render context
BUFFER = (640, 480)  # robosuite's offscreen buffer: (width, height)


class FrameDrawer:
    """Software or GPU renderer of one compiled model. Builds its GL context on first use."""

    def __init__(
        self, model: mujoco.MjModel, rendering: str, visual_group: int = VISUAL_GROUP
    ) -> None:
        self._model = model
        self._rendering = rendering
        self._visual_group = visual_group
        self._data = mujoco.MjData(model)
        self._gl: mujoco.GLContext | None = None

    def draw(
        self, qpos: ArrayLike, cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Return camera -> uint8 [H, W, 3], upright, of the scene at ``qpos`` [nq]."""
        height, width = size
        self._make_ready(height, width)
        assert self._gl is not None
        # Another context may have become current since the last call (another simulator in this
        # process); drawing into that one returns garbage without any error.
        self._gl.make_current()
        self.kinematics(qpos)
        viewport = mujoco.MjrRect(0, 0, width, height)
        frames = {}
        for name in cameras:
            self._camera.fixedcamid = self._model.camera(name).id
            mujoco.mjv_updateScene(
                self._model,
                self._data,
                self._options,
                None,
                self._camera,
                mujoco.mjtCatBit.mjCAT_ALL,
                self._scene,
            )
            mujoco.mjr_render(viewport, self._scene, self._context)
            pixels = np.empty((height, width, 3), np.uint8)
            mujoco.mjr_readPixels(pixels, None, viewport, self._context)
            frames[name] = np.ascontiguousarray(pixels[::-1])
        return frames

    def kinematics(self, qpos: ArrayLike) -> mujoco.MjData:
        """Return the scratch data with bodies, sites, cameras and lights placed for ``qpos``."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        return self._data

    @property
    def renderer(self) -> str:
        """OpenGL's own name of what draws, or "not used" before the first frame."""
        if self._gl is None:
            return "not used"
        from OpenGL import GL

        self._gl.make_current()
        return f"{GL.glGetString(GL.GL_RENDERER).decode()}, {GL.glGetString(GL.GL_VERSION).decode()}"

    def close(self) -> None:
        """Free the GL context."""
        if self._gl is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._gl = None

    def _make_ready(self, height: int, width: int) -> None:
        if self._gl is not None:
            fits = width <= self._context.offWidth and height <= self._context.offHeight
            if fits:
                return
            self.close()
        buffer_width, buffer_height = max(width, BUFFER[0]), max(height, BUFFER[1])
        quality, glob = self._model.vis.quality, self._model.vis.global_
        glob.offwidth, glob.offheight = buffer_width, buffer_height
        if self._rendering == "lean":
            quality.offsamples = 0
        self._gl = mujoco.GLContext(buffer_width, buffer_height)
        self._gl.make_current()
        self._scene = mujoco.MjvScene(self._model, maxgeom=MAX_SCENE_GEOMS)
        if self._rendering == "lean":
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._options = mujoco.MjvOption()
        self._options.geomgroup[COLLISION_GROUP] = 0
        self._options.geomgroup[self._visual_group] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._context = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_150)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
