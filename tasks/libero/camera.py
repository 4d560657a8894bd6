"""Draw camera frames of LIBERO's scenes from joint positions, apart from the simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.gl.canvas import Box, Quality
from tasks.gl.drawer import Drawer

# robosuite hides the collision meshes (group 0) and shows the visual ones (group 1).
COLLISION_GROUP, VISUAL_GROUP = 0, 1

# Shadows stay: no light of LIBERO's own scenes casts any, but perturbed ones may.
LEAN = Quality(antialiasing=False, reflections=False)
QUALITIES = {"exact": Quality(), "lean": LEAN, "coarse": replace(LEAN, details=False)}
"""By :data:`tasks.libero.offers.RENDERINGS`."""


class FrameDrawer(Drawer):
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
        options = mujoco.MjvOption()
        options.geomgroup[COLLISION_GROUP] = 0
        options.geomgroup[VISUAL_GROUP] = 1
        super().__init__(model, QUALITIES[rendering], options)
        self._switched_sites = list(switched_sites)

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
        frames = {name: canvas.draw(self.scratch, camera, size) for name, camera in ids.items()}
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
        self.scratch.qpos[:] = qpos
        return self._seen()
