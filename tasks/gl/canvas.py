"""Draw MuJoCo scenes into pictures with software OpenGL, as fast as their quality allows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from tasks.gl.culling import Culling, mirror_of
from tasks.gl.meshes import merged_details

MAX_SCENE_GEOMS = 1000  # as robosuite's and gymnasium's renderers
BUFFER = (640, 480)  # the least offscreen buffer, MuJoCo's own: (width, height)
NOTHING = -1  # in place of a body's number: the pixel shows no geometry at all


@dataclass(frozen=True)
class Box:
    """A box that is not in the scene: ``center`` [3], ``axes`` [3, 3], half ``size`` [3], m."""

    center: NDArray[np.float64]
    axes: NDArray[np.float64]
    size: NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """What pictures have; each costs time. ``details``: those below 4 mm are not merged."""

    antialiasing: bool = True
    shadows: bool = True
    reflections: bool = True
    details: bool = True


class Canvas:
    """A GL context with the model's meshes and textures in it, and an offscreen buffer.

    Args:
        model: the compiled scene.
        quality: what pictures have.
        options: what is shown of the scene, such as which groups of geoms.
        size: (height, width) that the buffer must hold at least.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        quality: Quality,
        options: mujoco.MjvOption,
        size: tuple[int, int],
    ) -> None:
        self._model, self._quality, self._options = model, quality, options
        width, height = max(size[1], BUFFER[0]), max(size[0], BUFFER[1])
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        if not quality.antialiasing:
            model.vis.quality.offsamples = 0
        self._gl = mujoco.GLContext(width, height)
        self._gl.make_current()
        self._scene = mujoco.MjvScene(model, maxgeom=MAX_SCENE_GEOMS)
        if not quality.reflections:
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        if not quality.shadows:
            self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._culling: Culling | None = None
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        with contextlib.nullcontext() if quality.details else merged_details(model):
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
            mirror = mirror_of(self._scene)
            self._culling = Culling(self._model, mirror, shown, shadows=self._quality.shadows)
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
        """Draw int64 [H, W], upright: the body that each pixel shows.

        Box k counts as body ``model.nbody + k``, the void is :data:`NOTHING`.
        """
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
