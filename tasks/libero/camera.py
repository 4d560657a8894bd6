"""Draw camera frames from joint positions, apart from the simulation in progress.

Frames are drawn from a scratch MjData, so that a frame drawn live, a frame drawn after the
episode and a frame drawn on another day from the store take one and the same path, and the
simulation never pays for a render it does not need.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.libero.culling import Culling, mirror_of
from tasks.libero.meshes import merged_details

# robosuite hides the collision meshes (group 0) and shows the visual ones (group 1).
COLLISION_GROUP, VISUAL_GROUP = 0, 1
MAX_SCENE_GEOMS = 1000  # as robosuite's render context
BUFFER = (640, 480)  # robosuite's offscreen buffer: (width, height)
NOTHING = -1  # in place of a body's number: the pixel shows no geometry at all


@dataclass(frozen=True)
class Box:
    """A box that is not in the scene: ``center`` [3], ``axes`` [3, 3], half ``size`` [3], m."""

    center: NDArray[np.float64]
    axes: NDArray[np.float64]
    size: NDArray[np.float64]


class FrameDrawer:
    """Renderer of one compiled model; makes its GL context on first use.

    Args:
        model: the compiled scene.
        rendering: a key of :data:`tasks.libero.offers.RENDERINGS`.
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

    def bodies(
        self,
        qpos: ArrayLike,
        cameras: Sequence[str],
        size: tuple[int, int],
        boxes: Sequence[Box] = (),
    ) -> Mapping[str, NDArray[np.int64]]:
        """Return camera -> int64 [H, W], upright: the body that each pixel of a frame shows.

        ``boxes`` are drawn with the scene; box k counts as body ``model.nbody + k``. What shows
        neither is :data:`NOTHING`.
        """
        canvas = self._canvas_for(size)
        data = self.kinematics(qpos)
        ids = {name: self._model.camera(name).id for name in cameras}
        return {name: canvas.bodies(data, camera, size, boxes) for name, camera in ids.items()}

    def repaint(self, textures: Iterable[int]) -> None:
        """Show what the model holds of these textures by now, from the next frame on."""
        if self._canvas:
            self._canvas.repaint(textures)

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
        self._culling: Culling | None = None
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
        if self._culling is None:
            self._look(data, camera)
            shown = self._options.geomgroup.astype(bool)
            self._culling = Culling(self._model, mirror_of(self._scene), shown)
        flags, reflection = self._scene.flags, mujoco.mjtRndFlag.mjRND_REFLECTION
        before = flags[reflection]
        out = np.empty((*size, 3), np.uint8)
        for part in self._culling.passes(data, camera, size):
            with self._culling.hiding(part.hidden):
                self._look(data, camera)
            flags[reflection] = before and part.mirror
            out[part.rows, part.columns] = self._render(size)[part.rows, part.columns]
        flags[reflection] = before
        return out

    def bodies(
        self, data: mujoco.MjData, camera: int, size: tuple[int, int], boxes: Sequence[Box]
    ) -> NDArray[np.int64]:
        """Draw int64 [H, W], upright: the body that each pixel shows; see FrameDrawer.bodies."""
        # Sites are marks, not matter, and numbers would show the transparent ones too.
        sites = self._options.sitegroup.copy()
        self._options.sitegroup[:] = 0
        self._look(data, camera)
        self._options.sitegroup[:] = sites
        shown = [
            (geom.segid, int(self._model.geom_bodyid[geom.objid]))
            for geom in self._scene.geoms[: self._scene.ngeom]
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM
        ]
        for number, box in enumerate(boxes):
            geom = self._scene.geoms[self._scene.ngeom]
            kind, opaque = mujoco.mjtGeom.mjGEOM_BOX, np.ones(4, np.float32)
            mujoco.mjv_initGeom(geom, kind, box.size, box.center, box.axes.ravel(), opaque)
            geom.segid = self._scene.ngeom
            self._scene.ngeom += 1
            shown.append((geom.segid, self._model.nbody + number))
        flags = self._scene.flags
        before = flags.copy()
        # Each piece of geometry in one flat colour, its number; MuJoCo switches anti-aliasing off.
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        pixels = self._render(size).astype(np.int64)
        flags[:] = before
        numbers = pixels[..., 0] + (pixels[..., 1] << 8) + (pixels[..., 2] << 16)
        table = np.full(self._scene.ngeom + 1, NOTHING)
        for number, body in shown:
            table[number + 1] = body  # 0 is the void
        return table[numbers]

    def repaint(self, textures: Iterable[int]) -> None:
        """Send textures to OpenGL again."""
        self._gl.make_current()
        for texture in textures:
            mujoco.mjr_uploadTexture(self._model, self._context, texture)

    def _look(self, data: mujoco.MjData, camera: int) -> None:
        """Make the scene what a camera has before it."""
        # Another context may have become current since the last call (another simulator in this
        # process); drawing into that one returns garbage without any error.
        self._gl.make_current()
        self._camera.fixedcamid = camera
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            self._model, data, self._options, None, self._camera, everything, self._scene
        )

    def _render(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Render the scene, uint8 [H, W, 3], upright."""
        viewport = mujoco.MjrRect(0, 0, size[1], size[0])
        mujoco.mjr_render(viewport, self._scene, self._context)
        pixels = np.empty((*size, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, viewport, self._context)
        return pixels[::-1]

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
