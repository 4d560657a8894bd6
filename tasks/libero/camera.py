"""Draw camera frames from joint positions, apart from the simulation in progress.

Frames are drawn from a scratch MjData, so that a frame drawn live, a frame drawn after the
episode and a frame drawn on another day from the store take one and the same path, and the
simulation never pays for a render it does not need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.gl.canvas import Box, Canvas, Quality

# robosuite hides the collision meshes (group 0) and shows the visual ones (group 1).
COLLISION_GROUP, VISUAL_GROUP = 0, 1


# Shadows stay: no light of LIBERO's own scenes casts any, but perturbed ones may.
LEAN = Quality(antialiasing=False, reflections=False)
QUALITIES = {"exact": Quality(), "lean": LEAN, "coarse": replace(LEAN, details=False)}
"""By :data:`tasks.libero.offers.RENDERINGS`."""


class FrameDrawer:
    """Renderer of one compiled model; makes its GL context on first use.

    Args:
        model: the compiled scene.
        rendering: a key of :data:`tasks.libero.offers.RENDERINGS`.
        switched_sites: sites whose opacity is given anew for each frame.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        rendering: str,
        switched_sites: Sequence[int] = (),
    ) -> None:
        self._model = model
        self._rendering = rendering
        self._switched_sites = list(switched_sites)
        self._data = mujoco.MjData(model)
        self._canvas: Canvas | None = None

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
        neither is ``tasks.gl.canvas.NOTHING``.
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

    def _canvas_for(self, size: tuple[int, int]) -> Canvas:
        if self._canvas is None or not self._canvas.holds(size):
            self.close()
            options = mujoco.MjvOption()
            options.geomgroup[COLLISION_GROUP] = 0
            options.geomgroup[VISUAL_GROUP] = 1
            self._canvas = Canvas(self._model, QUALITIES[self._rendering], options, size)
        return self._canvas
