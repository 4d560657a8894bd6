"""Draw camera frames from joint positions, apart from the simulation in progress.

Frames are drawn from a scratch MjData, so that a frame drawn live, a frame drawn after the
episode and a frame drawn on another day from the store take one and the same path, and the
simulation never pays for a render it does not need.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.libero.meshes import merged_details

# robosuite hides the collision meshes (group 0) and shows the visual ones (group 1).
COLLISION_GROUP, VISUAL_GROUP = 0, 1
MAX_SCENE_GEOMS = 1000  # as robosuite's render context
BUFFER = (640, 480)  # robosuite's offscreen buffer: (width, height)


class FrameDrawer:
    """Renderer of one compiled model; makes its GL context on first use.

    Args:
        model: the compiled scene.
        rendering: a key of :data:`tasks.libero.suite.RENDERINGS`.
        visual_group: the geom group that is shown.
        switched_sites: sites whose opacity is given anew for each frame.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        rendering: str,
        visual_group: int = VISUAL_GROUP,
        switched_sites: Sequence[int] = (),
    ) -> None:
        self._model = model
        self._rendering = rendering
        self._visual_group = visual_group
        self._switched_sites = list(switched_sites)
        self._data = mujoco.MjData(model)
        self._canvas: _Canvas | None = None

    def draw(
        self, qpos: ArrayLike, lit: ArrayLike, cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Return camera -> uint8 [H, W, 3], upright, of the scene at ``qpos`` [nq].

        ``lit``: opacity of each switched site. The model is the simulation's own, which has its
        sites back as they were afterwards.
        """
        canvas = self._canvas_for(size)
        self.kinematics(qpos)
        ids = {name: self._model.camera(name).id for name in cameras}
        before = self._model.site_rgba[self._switched_sites, 3]
        self._model.site_rgba[self._switched_sites, 3] = lit
        frames = {name: canvas.draw(self._data, camera, size) for name, camera in ids.items()}
        self._model.site_rgba[self._switched_sites, 3] = before
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
        return self._canvas.renderer if self._canvas else "not used"

    def close(self) -> None:
        """Free the GL context."""
        if self._canvas:
            self._canvas.free()
            self._canvas = None

    def _canvas_for(self, size: tuple[int, int]) -> _Canvas:
        if self._canvas is None or not self._canvas.holds(size):
            self.close()
            self._canvas = _Canvas(self._model, self._rendering, self._visual_group, size)
        return self._canvas


class _Canvas:
    """A GL context with the model's meshes and textures in it, and an offscreen buffer."""

    def __init__(
        self, model: mujoco.MjModel, rendering: str, visual_group: int, size: tuple[int, int]
    ) -> None:
        self._model = model
        width, height = max(size[1], BUFFER[0]), max(size[0], BUFFER[1])
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        lean = rendering in ("lean", "coarse")
        if lean:
            model.vis.quality.offsamples = 0
        self._gl = mujoco.GLContext(width, height)
        self._gl.make_current()
        self._scene = mujoco.MjvScene(model, maxgeom=MAX_SCENE_GEOMS)
        if lean:
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._options = mujoco.MjvOption()
        self._options.geomgroup[COLLISION_GROUP] = 0
        self._options.geomgroup[visual_group] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        with merged_details(model) if rendering == "coarse" else contextlib.nullcontext():
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)

    def holds(self, size: tuple[int, int]) -> bool:
        """Whether the buffer is large enough for (height, width)."""
        return size[0] <= self._context.offHeight and size[1] <= self._context.offWidth

    def draw(self, data: mujoco.MjData, camera: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Draw uint8 [H, W, 3], upright."""
        # Another context may have become current since the last call (another simulator in this
        # process); drawing into that one returns garbage without any error.
        self._gl.make_current()
        viewport = mujoco.MjrRect(0, 0, size[1], size[0])
        self._camera.fixedcamid = camera
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            self._model, data, self._options, None, self._camera, everything, self._scene
        )
        mujoco.mjr_render(viewport, self._scene, self._context)
        pixels = np.empty((*size, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, viewport, self._context)
        return np.ascontiguousarray(pixels[::-1])

    @property
    def renderer(self) -> str:
        """OpenGL's name of the renderer and its version."""
        from OpenGL import GL

        self._gl.make_current()
        names = (GL.glGetString(what).decode() for what in (GL.GL_RENDERER, GL.GL_VERSION))
        return ", ".join(names)

    def free(self) -> None:
        """Free what lies in OpenGL's memory."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()
