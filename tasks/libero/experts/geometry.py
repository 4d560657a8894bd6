"""Small pieces of geometry: rotations and height maps of point clouds."""

import mujoco
import numpy as np

CELL = 0.006  # m; height-map resolution, about half the thickness of a bowl wall or a finger pad
TOUCH = 0.006  # m; points this near to the highest contact share the load
UP = np.array([0.0, 0.0, 1.0])
# Orientation of a hand that points straight down, as columns: closing axis (+y of the world),
# lateral axis (+x), approach axis (-z). It is the arm's rest orientation.
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def rotvec(rot: np.ndarray) -> np.ndarray:
    """Axis times angle (rad), shape (3,), of a rotation matrix (3, 3)."""
    quat, vec = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quat, rot.ravel())
    mujoco.mju_quat2Vel(vec, quat, 1.0)
    return vec


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix (3, 3) of `angle` rad about the unit vector `axis` (3,)."""
    quat, rot = np.empty(4), np.empty(9)
    mujoco.mju_axisAngle2Quat(quat, np.asarray(axis, float), angle)
    mujoco.mju_quat2Mat(rot, quat)
    return rot.reshape(3, 3)


def thin(points: np.ndarray, cell: float) -> np.ndarray:
    """Keep one of the points (N, 3) in each cube of side `cell` (m), in a fixed order."""
    if not len(points):
        return points
    keys = np.floor(points / cell).astype(np.int64)
    code = (keys[:, 0] * 73_856_093) ^ (keys[:, 1] * 19_349_663) ^ (keys[:, 2] * 83_492_791)
    return points[np.sort(np.unique(code, return_index=True)[1])]


class HeightMap:
    """Highest z (m, world) of a point cloud in each cell of a square window of the xy plane."""

    def __init__(self, points: np.ndarray, center: np.ndarray, half: float, floor: float) -> None:
        """Map `points` (N, 3) around `center` (2,) out to `half` m; empty cells are at `floor`."""
        self.origin = np.asarray(center[:2]) - half
        self.size = int(np.ceil(2 * half / CELL))
        self.floor = floor
        self.grid = np.full((self.size, self.size), floor)
        cells = self._cells(points[:, :2])
        ok = ((cells >= 0) & (cells < self.size)).all(1)
        np.maximum.at(self.grid, tuple(cells[ok].T), points[ok, 2])

    def _cells(self, xy: np.ndarray) -> np.ndarray:
        return np.floor((xy - self.origin) / CELL).astype(int)

    def lowest(self, xy: np.ndarray) -> float:
        """Lowest surface (m) under the places (K, 2); empty cells count only if all are empty."""
        cells = np.clip(self._cells(xy), 0, self.size - 1)
        heights = self.grid[cells[:, 0], cells[:, 1]]
        known = heights > self.floor
        return float(heights[known].min() if known.any() else self.floor)

    def drop(self, bottom: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How a body comes to rest on the map if it only moves vertically.

        `bottom` (N, 3) is the body's lower surface in world coordinates; `shifts` (K, 2) are
        horizontal displacements tried for it. Returns how far it moves, (K,), m, up positive,
        and how far the middle of the contacts is from the middle of the body, (K,), m: the body
        tips over if that is much.
        """
        cells = self._cells(bottom[None, :, :2] + shifts[:, None, :])
        cells = np.clip(cells, 0, self.size - 1)
        rise = self.grid[cells[..., 0], cells[..., 1]] - bottom[:, 2]
        top = rise.max(1)
        contact = (rise > top[:, None] - TOUCH).astype(float)
        middle = bottom[:, :2] - bottom[:, :2].mean(0)
        lean = np.linalg.norm(contact @ middle, axis=1) / contact.sum(1)
        return top, lean


def lower_surface(points: np.ndarray) -> np.ndarray:
    """Keep the lowest of the points (N, 3) in each vertical column of one height-map cell."""
    keys = np.floor(points[:, :2] / CELL).astype(np.int64)
    code = keys[:, 0] * 1_000_003 + keys[:, 1]
    order = np.lexsort((points[:, 2], code))
    first = np.r_[True, np.diff(code[order]) != 0]
    return points[order[first]]
