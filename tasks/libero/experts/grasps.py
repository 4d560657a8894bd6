"""Grasps for a parallel gripper, sampled on the collision geometry of an object."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from .geometry import DOWN, UP, about, thin

MAX_WIDTH = 0.068  # m between the contacts; the fingers open to 0.077
PAD_HALF = 0.010  # m; half the side of a finger pad
FINGER_TIP = 0.0125  # m from the grip site to below the finger tips, with 3 mm to spare
DESCENT = (0.0, 0.05, 0.10)  # m above the grasp: the hand must be free there too
MAX_WEDGE = 0.8  # change of width per length along the pads; about the friction cone
YAWS = 12
DEPTHS = (0.005, 0.010, 0.018, 0.026, 0.034)  # m below the top of the object

FLAT = 0.03  # m; a leaning hand gets no hold of anything flatter
# Extra tilts of the hand about its closing (0) or lateral (1) axis, rad, in the order of trial;
# they help where something hangs over the object.
LEANS = ((0, 0.0), (1, 0.3), (1, -0.3), (0, 0.3), (0, -0.3), (1, 0.5), (1, -0.5))

# Boxes around the open hand in the grip frame (closing, lateral, approach): lower and upper
# corners, m, about 3 mm larger than the collision meshes. Fingers, palm, wrist.
HAND_BOXES = np.array(
    [
        [[0.036, -0.013, -0.048], [0.068, 0.013, 0.012]],
        [[-0.068, -0.013, -0.048], [-0.036, 0.013, 0.012]],
        [[-0.107, -0.035, -0.126], [0.107, 0.035, -0.030]],
        [[-0.060, -0.060, -0.300], [0.060, 0.060, -0.126]],
    ]
)

Tilt = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Grasp:
    """Grip-site pose for closing the fingers, world frame, and its score (larger is better)."""

    pos: np.ndarray  # (3,), m
    rot: np.ndarray  # (3, 3): closing, lateral and approach axis as columns
    width: float  # m between the contacts
    score: float


def hand_overlap(points: np.ndarray, pos: np.ndarray, rot: np.ndarray) -> int:
    """How many of the points (N, 3) lie inside the open hand at a grip-site pose."""
    local = (points - pos) @ rot
    low, high = HAND_BOXES[:, None, 0], HAND_BOXES[:, None, 1]
    return int(((local > low) & (local < high)).all(2).sum())


@cache
def _hand_points() -> np.ndarray:
    """Surface points (N, 3) of the fingers and the palm in the grip frame, 6 mm apart."""
    parts = []
    for low, high in HAND_BOXES[:3]:
        counts = np.ceil((high - low) / 0.006).astype(int) + 1
        axes = [np.linspace(a, b, n) for a, b, n in zip(low, high, counts, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        edge = (np.isclose(grid, low) | np.isclose(grid, high)).any(1)
        parts.append(grid[edge])
    return np.concatenate(parts)


def hand_surface(pos: np.ndarray, rot: np.ndarray) -> np.ndarray:
    """Points (N, 3) on the fingers and the palm of the open hand at a pose, world frame."""
    return _hand_points() @ rot.T + pos


def top_grasps(obj: np.ndarray, obstacles: np.ndarray, tilt: Tilt) -> Iterator[Grasp]:
    """Collision-free grasps from above, best first.

    `obj` (N, 3) and `obstacles` (M, 3) are surface points in the world frame. A grasp closes on
    a solid section or a wall of the object. `tilt` turns a straight-down orientation (3, 3) at a
    position (3,) into one the arm can reach. Collisions are checked on demand, since usually
    one of the first candidates is taken.
    """
    obj = thin(obj, 0.004)
    low = obj[:, 2].min()
    center = (obj.min(0) + obj.max(0)) / 2
    under = (np.abs(obstacles - center)[:, :2] < 0.06).all(1) & (obstacles[:, 2] < low + 0.006)
    support = max(low, obstacles[under, 2].max()) if under.any() else low
    scenery = np.concatenate([obj, thin(obstacles[obstacles[:, 2] > support + 0.003], 0.008)])
    lowest = support + FINGER_TIP
    candidates = [
        grasp
        for yaw in np.linspace(-np.pi / 2, np.pi / 2, YAWS, endpoint=False)
        for grasp in _candidates(obj, lowest, yaw)
    ]
    candidates.sort(key=lambda g: -g.score)
    leans = LEANS if obj[:, 2].max() - low > FLAT else LEANS[:1]
    for axis, angle in leans:
        for straight in candidates:
            rot = tilt(straight.rot, straight.pos)
            grasp = replace(straight, rot=about(rot[:, axis], angle) @ rot)
            way_down = (grasp.pos + rise * UP for rise in DESCENT)
            if not any(hand_overlap(scenery, pos, grasp.rot) for pos in way_down):
                yield grasp


def _candidates(obj: np.ndarray, lowest: float, yaw: float) -> Iterator[Grasp]:
    """Grasps with one closing direction, unchecked."""
    rot = about(UP, yaw) @ DOWN
    closing, lateral = obj @ rot[:, 0], obj @ rot[:, 1]
    mean = obj.mean(0)
    mid_c, mid_l = mean @ rot[:, 0], mean @ rot[:, 1]
    top = obj[:, 2].max()
    slices = np.r_[mid_l, np.arange(lateral.min(), lateral.max(), 0.010)]
    for z in sorted({max(lowest, top - d) for d in DEPTHS}):
        level = np.abs(obj[:, 2] - z) < PAD_HALF
        across, along = closing[level], lateral[level]
        for at in slices:
            pad = np.abs(along - at) < PAD_HALF
            if pad.sum() < 3:
                continue
            for left, right in _sections(np.sort(across[pad])):
                if right - left > MAX_WIDTH:
                    continue
                inside = pad & (across >= left) & (across <= right)
                if _wedge(across[inside], along[inside] - at) > MAX_WEDGE:
                    continue
                mid = (left + right) / 2
                off = np.hypot(mid - mid_c, at - mid_l)
                # Near the center of mass, deep, thin, and without turning the wrist far.
                score = (
                    -2.0 * off
                    - 3.0 * abs(at - mid_l)
                    - 0.6 * (right - left)
                    + 1.5 * min(top - z, 0.03)
                    - 0.02 * abs(yaw)
                )
                pos = rot[:, 0] * mid + rot[:, 1] * at
                yield Grasp(np.r_[pos[:2], z], rot, right - left, score)


def _wedge(across: np.ndarray, along: np.ndarray) -> float:
    """Change of the width per length along the pads: a wedge is squeezed out of the fingers."""
    halves = across[along < 0], across[along >= 0]
    widths = [np.ptp(half) if len(half) else 0.0 for half in halves]
    return float(abs(widths[0] - widths[1])) / PAD_HALF


def _sections(sorted_values: np.ndarray) -> list[tuple[float, float]]:
    """Split into runs of values separated by more than 12 mm (walls); the whole range is added."""
    gaps = np.flatnonzero(np.diff(sorted_values) > 0.012)
    starts, ends = np.r_[0, gaps + 1], np.r_[gaps, len(sorted_values) - 1]
    runs = [(sorted_values[a], sorted_values[b]) for a, b in zip(starts, ends, strict=True)]
    return runs if len(runs) == 1 else [*runs, (sorted_values[0], sorted_values[-1])]
