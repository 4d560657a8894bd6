"""What a snapshot shows, in the words of the task: who touches whom, what is still lacking.

LIBERO's own predicates judge the goal. They read ``env.sim.data``, so a scratch copy takes its
place while they do, and the episode in progress never notices.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from robosuite.utils.binding_utils import MjData

from tasks.libero.experts.scene import Scene
from wambench.facts import ARM, FINGERS, HAND, ROBOT, SCENE, Facts, Goal

STEP = 0.01  # m between the surface points that distances are measured to
# As LIBERO's predicates have them (object_states/base_object_states.py, objects/site_object.py):
ON_OBJECT = 0.03  # m, largest horizontal distance of two origins that are on one another
BELOW, ABOVE = 0.005, 0.10  # m, of a region's upper face, for the origin of what is on it
SUNK = 0.01  # m below a region, for the origin of what is in it
BODIES = {  # prefix of a body's name -> part of the robot; the longest prefix counts
    "robot0": ARM,
    "robot0_right_hand": HAND,
    "gripper0": HAND,
    "gripper0_leftfinger": FINGERS,
    "gripper0_rightfinger": FINGERS,
    "gripper0_finger_joint": FINGERS,
}


class FactFinder:
    """Reads facts of one open LIBERO problem (a ``BDDLBaseDomain``) from positions [nq]."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._data = MjData(env.sim.model)
        with self._aside():
            self.scene = Scene(env)  # of the scratch data
        self.conditions = [list(goal) for goal in env.parsed_problem["goal_state"]]
        self.owners = owners(env, self.scene)
        self._owner_of_geom = [self.owners[body] for body in self.scene.m.geom_bodyid]

    def place(self, qpos: NDArray[np.float64]) -> None:
        """Place bodies, regions and contacts of the scratch data for ``qpos``."""
        model, data = self.scene.m, self.scene.d
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)

    def find(self, qpos: NDArray[np.float64]) -> Facts:
        """Return the facts of the scene at ``qpos``, its fixtures where they stand now."""
        scene = self.scene
        self.place(qpos)
        with self._aside():
            holds = [scene.holds(goal) for goal in self.conditions]
        hand = scene.hand_pos
        return Facts(
            hand=hand,
            opening=scene.opening,
            objects={name: scene.pos(name) for name in self._env.objects_dict},
            contacts=self._contacts(),
            goals=tuple(
                self._goal(*told, hand) for told in zip(self.conditions, holds, strict=True)
            ),
        )

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Let LIBERO's predicates read the scratch data; undo what they note on the side."""
        env = self._env
        shown = {name: env.get_object(name).object_properties for name in _lit(env)}
        before = {name: dict(properties["vis_site_names"]) for name, properties in shown.items()}
        live, env.sim.data = env.sim.data, self._data
        try:
            yield
        finally:
            env.sim.data = live
            for name, properties in shown.items():
                properties["vis_site_names"].update(before[name])

    def _contacts(self) -> frozenset[tuple[str, str]]:
        name = self._owner_of_geom
        touching = {
            (min(name[a], name[b]), max(name[a], name[b]))
            for a, b in self.scene.d.contact.geom.tolist()
        }
        return frozenset((a, b) for a, b in touching if a != b and not (a in ROBOT and b in ROBOT))

    def _goal(self, condition: Sequence[str], holds: bool, hand: NDArray[np.float64]) -> Goal:
        scene, subject = self.scene, condition[1]
        target = condition[2] if len(condition) == 3 else ""
        surface = scene.points(scene.geoms(moved_body(scene, condition)), STEP)
        gap = 0.0
        if not holds:
            gap = self._place_gap(condition, surface) if target else self._joint_gap(condition)
        return Goal(
            text=" ".join(condition),
            subject=subject,
            receptacle=receptacle(scene, target),
            holds=holds,
            gap=gap,
            distance=float(np.linalg.norm(surface - hand, axis=1).min()),
        )

    def _place_gap(self, condition: Sequence[str], surface: NDArray[np.float64]) -> float:
        """Distance (m) of an object from where ``in`` or ``on`` would accept it."""
        scene, (predicate, name, target) = self.scene, condition
        origin = scene.pos(name)
        if not scene.is_region(target):
            away = origin - scene.pos(target)
            top = scene.points(scene.geoms(scene.root(target)), STEP)[:, 2].max()
            beside = max(float(np.hypot(away[0], away[1])) - ON_OBJECT, 0.0)
            return float(np.hypot(beside, max(float(surface[:, 2].min() - top), 0.0)))
        center, axes, half = scene.region(target)
        if predicate.lower() == "in":
            half = np.abs(axes @ half)
            low, high, at = -half - [0.0, 0.0, SUNK], half, origin - center
        else:
            at = axes @ (origin - center)  # the predicate applies the matrix this way round
            low, high = np.r_[-half[:2], half[2] - BELOW], np.r_[half[:2], half[2] + ABOVE]
        return float(np.linalg.norm(np.maximum(np.maximum(low - at, at - high), 0.0)))

    def _joint_gap(self, condition: Sequence[str]) -> float:
        """How far (m or rad) a joint is from the range that its predicate asks for."""
        predicate, name = condition[0].lower(), condition[1]
        scene, env = self.scene, self._env
        item = env.object_sites_dict.get(name)
        owner = env.get_object(item.parent_name if item is not None else name)
        limits = owner.object_properties["articulation"][f"default_{predicate}_ranges"]
        value = scene.joint_value(scene.joint(name))
        return min(abs(value - limit) for limit in limits)


def owners(env: Any, scene: Scene) -> list[str]:
    """Whose each body is: an object, furniture, a part that the goal is about, robot or scene."""
    model = scene.m
    out = [SCENE] * model.nbody
    conditions = env.parsed_problem["goal_state"]
    parts = {
        name: int(model.jnt_bodyid[scene.joint(name)])
        for condition in conditions
        for name in condition[1:]
        if scene.is_region(name) and scene.joint(name) >= 0
    }
    roots = {name: scene.root(name) for name in (*env.objects_dict, *env.fixtures_dict)}
    for name, root in (*roots.items(), *parts.items()):  # parts last: they are inside furniture
        for body in range(model.nbody):
            if inside(model, body, root):
                out[body] = name
    for body in range(model.nbody):
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, body) or ""
        prefix = max((p for p in BODIES if name.startswith(p)), key=len, default="")
        out[body] = BODIES.get(prefix, out[body])
    return out


def receptacle(scene: Scene, target: str) -> str:
    """What a goal's target belongs to; empty for a place on the table and for no target."""
    if not target or not scene.is_region(target):
        return target
    return target if scene.joint(target) >= 0 else scene.parent(target) or ""


def moved_body(scene: Scene, condition: Sequence[str]) -> int:
    """The body that a condition wants moved: an object's, or that of a drawer, a door, a knob."""
    if len(condition) == 3:
        return scene.root(condition[1])
    return int(scene.m.jnt_bodyid[scene.joint(condition[1])])


def inside(model: mujoco.MjModel, body: int, root: int) -> bool:
    """Whether a body is ``root`` or attached to it."""
    while body > root:  # parents come before their children
        body = int(model.body_parentid[body])
    return body == root


def _lit(env: Any) -> Sequence[str]:
    """Objects that LIBERO shows otherwise by their state (a stove that glows)."""
    return list(dict.fromkeys(env.visualization_sites_list))
