"""Draw camera frames of a MetaWorld scene from what a snapshot holds, apart from the simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from tasks.gl.canvas import Box, Quality
from tasks.gl.drawer import Drawer
from tasks.metaworld.offers import CAMERAS, UPSIDE_DOWN
from tasks.metaworld.snapshot import Snapshot
from wambench.contract import Pixel

LEAN = Quality(antialiasing=False, shadows=False, reflections=False)
QUALITIES = {"exact": Quality(), "lean": LEAN, "coarse": replace(LEAN, details=False)}
"""By :data:`tasks.metaworld.offers.RENDERINGS`."""


class FrameDrawer(Drawer):
    """Renderer of one compiled model; makes its GL context on first use.

    Args:
        model: the simulation's own, so that bodies are where the present episode has them.
        rendering: a key of :data:`tasks.metaworld.offers.RENDERINGS`.
        sites: the marks that upstream places by itself, in a snapshot's order.
    """

    def __init__(self, model: mujoco.MjModel, rendering: str, sites: Sequence[int]) -> None:
        super().__init__(model, QUALITIES[rendering])
        self._sites = list(sites)

    def draw(
        self, seen: Snapshot, cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Return camera -> uint8 [H, W, 3], upright."""
        canvas, data = self._canvas_for(size), self.place(seen)
        return {
            name: _upright(name, canvas.draw(data, self._camera(name), size)) for name in cameras
        }

    def bodies(
        self, seen: Snapshot, cameras: Sequence[str], size: tuple[int, int], boxes: Sequence[Box]
    ) -> Mapping[str, NDArray[np.int64]]:
        """Return camera -> int64 [H, W], upright: the body of each pixel; see ``Canvas.bodies``."""
        canvas, data = self._canvas_for(size), self.place(seen)
        return {
            name: _upright(name, canvas.bodies(data, self._camera(name), size, boxes))
            for name in cameras
        }

    def place(self, seen: Snapshot) -> mujoco.MjData:
        """Return the scratch data with bodies, marks, cameras and lights placed."""
        scratch = self.scratch
        scratch.qpos[:] = seen.qpos
        scratch.mocap_pos[:], scratch.mocap_quat[:] = seen.mocap_pos, seen.mocap_quat
        data = self._seen()
        data.site_xpos[self._sites] = seen.marks
        return data

    def _camera(self, name: str) -> int:
        return int(self._model.camera(CAMERAS[name]).id)


def _upright(camera: str, picture: NDArray[Pixel]) -> NDArray[Pixel]:
    return np.ascontiguousarray(picture[::-1, ::-1] if camera in UPSIDE_DOWN else picture)
