"""Leave out of a frame what cannot be in it; every pixel stays the same.

Software OpenGL spends most of a frame on vertices, seen or not. So a camera is not sent what its
pyramid does not hold. One thing is seen in a round-about way: MuJoCo draws the whole scene once
more in the first plane or box of a reflecting material (``mjr_render``), in LIBERO the upper face
of a stove. That second scene shows within this face only, so it is drawn in a second picture, of
what the face shows or covers, from which just the rectangle around it is taken.

What the boxes around geoms (``geom_aabb``) hold is kept, so nothing is left out that shows. Where
lights cast shadows or a plane reflects, everything is drawn, as things out of view then show.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

OPAQUE = 0.995  # the alpha from which on MuJoCo lets a geom reflect
MARGIN = 0.002  # m, by which boxes are taken larger
MARGIN_PIXELS = 2  # by which rectangles are taken larger
NEAR = 0.01  # m; a face with corners nearer than this is taken to fill the picture
CORNERS = np.array([(x, y, z) for z in (1.0, -1.0) for x in (-1.0, 1.0) for y in (-1.0, 1.0)])
UPPER = CORNERS[:4]  # of a box's face towards its z axis, which is the one that reflects


@dataclass(frozen=True)
class Pass:
    """One rendering of a scene.

    Attributes:
        hidden: which geoms to leave out, bool [ngeom].
        mirror: whether to draw the reflection.
        rows, columns: the part of the picture, upright, that is right.
    """

    hidden: NDArray[np.bool_]
    mirror: bool
    rows: slice
    columns: slice


def mirror_of(scene: mujoco.MjvScene) -> int | None:
    """The geom in which MuJoCo will draw the reflection of this scene, if any."""
    flat = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_BOX)
    for geom in scene.geoms[: scene.ngeom]:
        if geom.type in flat and geom.rgba[3] >= OPAQUE and geom.reflectance > 0:
            return int(geom.objid)
    return None


class Culling:
    """What each camera cannot see of one compiled model.

    Args:
        model: the scene; what it shows is changed while a picture is made, and put back.
        mirror: the geom that reflects, by :func:`mirror_of`.
        shown: which groups of geoms are drawn, bool [6].
        shadows: whether those of lights that cast any are drawn.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        mirror: int | None,
        shown: NDArray[np.bool_],
        *,
        shadows: bool = True,
    ) -> None:
        self._model, self._mirror = model, mirror
        self._hidden_group = int(np.flatnonzero(~shown)[0])
        self._planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        middle, half = np.split(model.geom_aabb, 2, axis=1)
        self._corners = middle[:, None] + CORNERS * half[:, None]  # [ngeom, 8, 3]
        self._shadows = shadows
        self._everything = mirror is not None and bool(self._planes[mirror])

    def passes(self, data: mujoco.MjData, camera: int, size: tuple[int, int]) -> list[Pass]:
        """What to draw, first to last, for a picture of ``size`` (height, width).

        ``data`` has its kinematics and cameras placed; ``camera`` is a fixed one.
        """
        rows, columns = slice(0, size[0]), slice(0, size[1])
        shadows = self._shadows and self._model.light_castshadow.any()  # lights may change
        if self._everything or shadows:
            return [Pass(np.zeros(self._model.ngeom, bool), True, rows, columns)]
        turn = data.geom_xmat.reshape(-1, 3, 3).swapaxes(1, 2)
        corners = data.geom_xpos[:, None] + self._corners @ turn
        out = [
            Pass(self._outside(data, camera, size, rows, columns, corners), False, rows, columns)
        ]
        face = self._face(data, camera, size)
        if face is not None:
            point, normal, rows, columns = face
            height = (corners - point) @ normal
            image = corners - 2 * height[..., None] * normal
            reflected = ~self._outside(data, camera, size, rows, columns, image)
            reflected &= (height > -MARGIN).any(axis=1)
            unseen = self._outside(data, camera, size, rows, columns, corners) & ~reflected
            out.append(Pass(unseen, True, rows, columns))
        return out

    @contextmanager
    def hiding(self, hidden: NDArray[np.bool_]) -> Iterator[None]:
        """Keep geoms out of a scene that is made meanwhile."""
        model = self._model
        groups, reflectance = model.geom_group.copy(), model.mat_reflectance.copy()
        model.geom_group[hidden] = self._hidden_group
        if self._mirror is not None and hidden[self._mirror]:
            model.mat_reflectance[:] = 0  # or the next one in line would reflect
        try:
            yield
        finally:
            model.geom_group[:], model.mat_reflectance[:] = groups, reflectance

    def _face(
        self, data: mujoco.MjData, camera: int, size: tuple[int, int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], slice, slice] | None:
        """A point and the normal of the mirror's face, and where it is in the picture, if it is."""
        if self._mirror is None:
            return None
        turn = data.geom_xmat[self._mirror].reshape(3, 3)
        corners = data.geom_xpos[self._mirror]
        corners = corners + (UPPER * self._model.geom_size[self._mirror]) @ turn.T
        if (data.cam_xpos[camera] - corners[0]) @ turn[:, 2] < -MARGIN:
            return None  # seen from behind
        x, y, z = self._from_camera(data, camera, corners)
        if (z > -NEAR).any():
            rows, columns = slice(0, size[0]), slice(0, size[1])
        else:
            tall, wide = self._slopes(camera, size)
            rows = _pixels(y / z / tall, size[0])  # rows count downwards, y is up, z is negative
            columns = _pixels(-x / z / wide, size[1])
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return corners[0], turn[:, 2], rows, columns

    def _outside(
        self,
        data: mujoco.MjData,
        camera: int,
        size: tuple[int, int],
        rows: slice,
        columns: slice,
        corners: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Which boxes [n, 8, 3] do not reach into a part of a picture, bool [n]."""
        x, y, z = self._from_camera(data, camera, corners)
        tall, wide = self._slopes(camera, size)
        left, right = (wide * (2 * edge / size[1] - 1) for edge in (columns.start, columns.stop))
        upper, lower = (tall * (1 - 2 * edge / size[0]) for edge in (rows.start, rows.stop))
        # Distances from the sides of the pyramid, whose points have x = -z * slope, and so on.
        beyond = [
            z,
            (x + z * right) / np.hypot(1, right),
            -(x + z * left) / np.hypot(1, left),
            (y + z * upper) / np.hypot(1, upper),
            -(y + z * lower) / np.hypot(1, lower),
        ]
        outside = (np.array(beyond) > MARGIN).all(axis=2).any(axis=0)
        return outside & ~self._planes

    def _from_camera(
        self, data: mujoco.MjData, camera: int, points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Points [..., 3] as the camera has them, [3, ...]: to its right, upwards, behind it."""
        seen = (points - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
        return np.moveaxis(seen, -1, 0)

    def _slopes(self, camera: int, size: tuple[int, int]) -> tuple[float, float]:
        """Tangents of half the angle that a picture of (height, width) covers, tall and wide."""
        tall = float(np.tan(np.deg2rad(self._model.cam_fovy[camera]) / 2))
        return tall, tall * size[1] / size[0]


def _pixels(positions: NDArray[np.float64], size: int) -> slice:
    """The pixels that hold these positions, -1 being the picture's first edge and 1 its last."""
    edges = (positions + 1) / 2 * size
    start = max(int(np.floor(edges.min())) - MARGIN_PIXELS, 0)
    return slice(start, min(int(np.ceil(edges.max())) + MARGIN_PIXELS, size))
