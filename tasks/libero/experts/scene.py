"""A read-only view of the simulator: names, poses, joints and collision geometry."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from .geometry import thin

if TYPE_CHECKING:
    from libero.libero.envs.bddl_base_domain import BDDLBaseDomain

ROBOT_PREFIXES = ("robot0", "gripper0", "mount0")
# Surface sampling: fine enough for the 2 mm walls to be gap-free at the height-map resolution.
FINE = 0.005
MAX_MESH_POINTS = 1500


class Scene:
    """What the expert is allowed to know about the world; nothing here writes to it."""

    def __init__(self, env: BDDLBaseDomain) -> None:
        """`env`: a reset LIBERO problem (BDDLBaseDomain)."""
        self.env = env
        self.m = env.sim.model._model
        self.d = env.sim.data._data
        m = self.m
        self._grip = self.id(mujoco.mjtObj.mjOBJ_SITE, "gripper0_grip_site")
        fingers = ("gripper0_finger_joint1", "gripper0_finger_joint2")
        ids = [self.id(mujoco.mjtObj.mjOBJ_JOINT, f) for f in fingers]
        self._fingers = m.jnt_qposadr[ids]
        names = [mujoco.mj_id2name(m, mujoco.mjtObj.mjOBJ_BODY, b) or "" for b in range(m.nbody)]
        robot = [names[m.body_rootid[b]].startswith(ROBOT_PREFIXES) for b in range(m.nbody)]
        solid = (m.geom_contype | m.geom_conaffinity) > 0
        solid &= ~np.array(robot)[m.geom_bodyid] & (m.geom_type != mujoco.mjtGeom.mjGEOM_PLANE)
        self._geoms = np.flatnonzero(solid)
        self._local = lru_cache(maxsize=None)(self._sample_surface)
        self._subtree = lru_cache(maxsize=None)(self._find_subtree)

    def id(self, kind: mujoco.mjtObj, name: str) -> int:
        """MuJoCo id of a named element."""
        return mujoco.mj_name2id(self.m, kind, name)

    # ---- the hand
    @property
    def hand_pos(self) -> np.ndarray:
        """Grip site (between the finger tips), (3,), m, world."""
        return self.d.site_xpos[self._grip].copy()

    @property
    def hand_rot(self) -> np.ndarray:
        """Columns: closing, lateral and approach axis of the hand, (3, 3), world."""
        return self.d.site_xmat[self._grip].reshape(3, 3).copy()

    @property
    def opening(self) -> float:
        """Distance between the finger pads, m: 0 closed, about 0.08 open."""
        return float(np.abs(self.d.qpos[self._fingers]).sum())

    # ---- objects, regions and joints
    def root(self, name: str) -> int:
        """Body id of an object or fixture."""
        return self.id(mujoco.mjtObj.mjOBJ_BODY, self.env.get_object(name).root_body)

    def pos(self, name: str) -> np.ndarray:
        """Origin of an object, as the goal predicates see it, (3,), m, world."""
        return self.d.xpos[self.root(name)].copy()

    def rot(self, name: str) -> np.ndarray:
        """Orientation of an object, (3, 3), world."""
        return self.d.xmat[self.root(name)].reshape(3, 3).copy()

    def is_region(self, name: str) -> bool:
        """Whether the name is a region (a site of a fixture, container or table)."""
        return name in self.env.object_sites_dict

    def region(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Center (3,), axes (3, 3) and half sizes (3,) of a region, m, world."""
        site = self.id(mujoco.mjtObj.mjOBJ_SITE, name)
        half = np.asarray(self.env.object_sites_dict[name].size, float)
        return self.d.site_xpos[site].copy(), self.d.site_xmat[site].reshape(3, 3).copy(), half

    def center(self, name: str) -> np.ndarray:
        """Center of a region or origin of an object, (3,), m, world."""
        return self.region(name)[0] if self.is_region(name) else self.pos(name)

    def parent(self, region: str) -> str | None:
        """Object or fixture that a region belongs to, None for one of the table."""
        name = self.env.object_sites_dict[region].parent_name
        return name if self.env.get_object(name) is not None else None

    def joint(self, target: str) -> int:
        """Id of the joint that moves a region or a fixture, -1 if nothing does."""
        item = self.env.object_sites_dict.get(target) or self.env.get_object(target)
        names = getattr(item, "joints", None)
        return self.id(mujoco.mjtObj.mjOBJ_JOINT, names[0]) if names else -1

    def joint_value(self, joint: int) -> float:
        """Position of a hinge (rad) or slide (m) joint."""
        return float(self.d.qpos[self.m.jnt_qposadr[joint]])

    def holds(self, goal: list[str]) -> bool:
        """Whether a goal predicate of the task is true now."""
        return bool(self.env._eval_predicate(goal))

    # ---- collision geometry
    def _find_subtree(self, body: int) -> tuple[int, ...]:
        inside = np.zeros(self.m.nbody, bool)
        inside[body] = True
        for k in range(body + 1, self.m.nbody):  # parents come before their children
            inside[k] = inside[self.m.body_parentid[k]]
        return tuple(int(g) for g in self._geoms if inside[self.m.geom_bodyid[g]])

    def geoms(self, body: int) -> tuple[int, ...]:
        """Collision geoms of a body and of everything attached to it."""
        return self._subtree(body)

    def others(self, *excluded: tuple[int, ...]) -> tuple[int, ...]:
        """Collision geoms of everything but the robot and the excluded geoms."""
        out = set().union(*excluded)
        return tuple(int(g) for g in self._geoms if g not in out)

    def stand(self) -> np.ndarray:
        """Where everything but the robot stands: (N, 12), m, positions and axes, world."""
        d, g = self.d, self._geoms
        return np.c_[d.geom_xpos[g], d.geom_xmat[g]]

    def points(self, geoms: tuple[int, ...], step: float = FINE) -> np.ndarray:
        """Surface points (N, 3), m, world, about `step` apart."""
        d = self.d
        parts = [
            self._local(g, step) @ d.geom_xmat[g].reshape(3, 3).T + d.geom_xpos[g] for g in geoms
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 3))

    def points_near(
        self, geoms: tuple[int, ...], center: np.ndarray, radius: float, step: float = FINE
    ) -> np.ndarray:
        """Like `points`, only those within `radius` (m, square) of `center` in the xy plane."""
        d, m = self.d, self.m
        g = np.asarray(geoms, int)
        if not len(g):
            return np.zeros((0, 3))
        gap = np.abs(d.geom_xpos[g, :2] - center[:2]).max(1) - m.geom_rbound[g]
        pts = self.points(tuple(g[gap < radius]), step)
        return pts[(np.abs(pts[:, :2] - center[:2]) < radius).all(1)]

    def _sample_surface(self, geom: int, step: float) -> np.ndarray:
        """Surface points of one geom in its own frame."""
        m = self.m
        kind = mujoco.mjtGeom(m.geom_type[geom])
        if kind != mujoco.mjtGeom.mjGEOM_MESH:
            return primitive_surface(kind, tuple(m.geom_size[geom]), step)
        mesh = m.geom_dataid[geom]
        first, count = m.mesh_vertadr[mesh], m.mesh_vertnum[mesh]
        vert = m.mesh_vert[first : first + count]
        return thin(vert[:: max(1, count // MAX_MESH_POINTS)], step / 2)


@lru_cache(maxsize=4096)
def primitive_surface(kind: mujoco.mjtGeom, size: tuple[float, ...], step: float) -> np.ndarray:
    """Points (N, 3), m, about `step` apart, on a box or filling a round shape, in its frame.

    Kept between episodes: the same shapes come again after every reset.
    """
    radius, length = size[0], size[1]
    half = {
        mujoco.mjtGeom.mjGEOM_SPHERE: np.full(3, radius),
        mujoco.mjtGeom.mjGEOM_CAPSULE: np.array([radius, radius, radius + length]),
        mujoco.mjtGeom.mjGEOM_CYLINDER: np.array([radius, radius, length]),
    }.get(kind, np.array(size))
    axes = [np.linspace(-h, h, max(2, int(np.ceil(2 * h / step)) + 1)) for h in half]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return grid[(np.abs(np.abs(grid) - half) < 1e-9).any(1)]
    flat = kind in (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER)
    scaled = (grid / half)[:, :2] if flat else grid / half
    return grid[np.linalg.norm(scaled, axis=1) <= 1.0 + 1e-9]
