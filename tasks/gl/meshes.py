"""Fewer triangles, for frames in which the finest details are smaller than a pixel.

Software OpenGL spends its time on vertices, not on pixels: a scene has 300,000 triangles, more
than half of them the Panda's, and a frame of 64 x 64 pixels costs as much as one of 128 x 128.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import mujoco
import numpy as np
from numpy.typing import NDArray

MERGED = 0.004  # m; a pixel of a frame 128 wide covers 2 mm (near the hand) to 1 cm

CORNERS = ("mesh_face", "mesh_facenormal", "mesh_facetexcoord")  # [faces, 3] indices each


@contextlib.contextmanager
def merged_details(model: mujoco.MjModel, cell: float = MERGED) -> Iterator[None]:
    """Let ``model`` hold coarser meshes while a renderer copies them; then it is as it was.

    Of all vertices in one cube of ``cell`` metres one stands for all, and triangles that lose
    their area or become equal are left out (vertex clustering, Rossignac and Borrel 1993).
    Triangles keep the normals and texture coordinates of their corners. Physics uses convex hulls,
    which are stored apart from the triangles.
    """
    kept = {name: getattr(model, name).copy() for name in (*CORNERS, "mesh_facenum")}
    try:
        for mesh in range(model.nmesh):
            _merge(model, mesh, cell)
        yield
    finally:
        for name, values in kept.items():
            getattr(model, name)[:] = values


def _merge(model: mujoco.MjModel, mesh: int, cell: float) -> None:
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    first, faces = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
    stand_in = _stand_ins(model.mesh_vert[start : start + count], cell)
    merged = stand_in[model.mesh_face[first : first + faces]]
    distinct = (merged != np.roll(merged, 1, axis=1)).all(axis=1)
    _, unique = np.unique(_code(np.sort(merged, axis=1)), return_index=True)
    left = np.intersect1d(np.flatnonzero(distinct), unique)
    if not len(left):
        return  # smaller than a cube: drawn as it is
    for name in CORNERS:
        values = getattr(model, name)
        values[first : first + len(left)] = values[first + left]
    model.mesh_face[first : first + len(left)] = merged[left]
    model.mesh_facenum[mesh] = len(left)


def _stand_ins(vertices: NDArray[np.float32], cell: float) -> NDArray[np.intp]:
    """For each vertex [n, 3] the number of the vertex that stands for it, [n]."""
    cubes = np.floor(vertices / cell).astype(np.int64)
    _, first, inverse = np.unique(
        _code(cubes - cubes.min(axis=0)), return_index=True, return_inverse=True
    )
    return first[inverse]


def _code(rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number [n] for each different row of three numbers in [0, 2^21), [n, 3]."""
    return (rows.astype(np.int64) << np.array([42, 21, 0])).sum(axis=1)
