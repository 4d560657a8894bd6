"""What every simulator's drawing of camera frames shares: one canvas, made when it is needed."""

from __future__ import annotations

import mujoco

from tasks.gl.canvas import Canvas, Quality


class Drawer:
    """Holds the canvas of one compiled model; a simulator says what is shown and where.

    Frames are drawn from :attr:`scratch`, so that a frame drawn live, after the episode or from the
    store on another day takes one and the same path, and no episode is disturbed.

    Args:
        model: the simulation's own.
        quality: what pictures have.
        options: what is shown of the scene; None: all of it.
    """

    def __init__(
        self, model: mujoco.MjModel, quality: Quality, options: mujoco.MjvOption | None = None
    ) -> None:
        self._model, self._quality = model, quality
        self._options = options or mujoco.MjvOption()
        self.scratch = mujoco.MjData(model)
        self._canvas: Canvas | None = None

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
        """A canvas that holds (height, width)."""
        if self._canvas is None or not self._canvas.holds(size):
            self.close()
            self._canvas = Canvas(self._model, self._quality, self._options, size)
        return self._canvas

    def _seen(self) -> mujoco.MjData:
        """The scratch data with bodies, sites, cameras and lights placed for its positions."""
        mujoco.mj_kinematics(self._model, self.scratch)
        mujoco.mj_comPos(self._model, self.scratch)
        mujoco.mj_camlight(self._model, self.scratch)
        return self.scratch
