"""What a snapshot shows, in the words of the task: who touches whom, what is still lacking.

Upstream's own judgement says whether the goal holds. It reads ``env.data``, so a scratch copy takes
its place while it does, and the episode in progress never notices.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from tasks.metaworld.owners import loose, mover, moves, owners
from tasks.metaworld.snapshot import Snapshot
from tasks.metaworld.things import MARK, THINGS
from wambench.facts import ROBOT, Facts, Goal

NO_ACTION = np.array([0.0, 0.0, 0.0, -1.0])  # rewards depend on it, success does not


class FactFinder:
    """Reads facts of one upstream environment, after a reset to the episode's beginning."""

    def __init__(self, name: str, env: Any) -> None:
        self._name, self._env, self.thing = name, env, THINGS[name]
        model = env.model
        self.data = mujoco.MjData(model)
        self.owners = owners(model)
        self._owner_of_geom = [self.owners[body] for body in model.geom_bodyid]
        self.subject = MARK
        if self.thing.subject != MARK:
            body = mover(model, self.thing.subject)
            self.subject = self.owners[body]
        self._objects = {
            self.owners[body]: body
            for body in range(model.nbody)
            if moves(model, body) and self.owners[body] not in ROBOT and loose(model, body)
        }

    def place(self, seen: Snapshot) -> None:
        """Place bodies, contacts and forces of the scratch data."""
        model, data = self._env.model, self.data
        mujoco.mj_resetData(model, data)
        data.qpos[:] = seen.qpos
        data.mocap_pos[:], data.mocap_quat[:] = seen.mocap_pos, seen.mocap_quat
        mujoco.mj_forward(model, data)

    def find(self, seen: Snapshot) -> Facts:
        """Return the facts of one moment."""
        self.place(seen)
        data = self.data
        hand = (data.site("rightEndEffector").xpos + data.site("leftEndEffector").xpos) / 2
        fingers = data.body("rightclaw").xpos - data.body("leftclaw").xpos
        objects = {name: data.xpos[body].copy() for name, body in self._objects.items()}
        if self.subject == MARK:  # what is to be reached counts as a thing
            objects[MARK] = seen.target
        return Facts(
            hand=hand,
            opening=float(np.linalg.norm(fingers)),
            objects=objects,
            contacts=self._contacts(),
            goals=(self._goal(seen, hand),),
        )

    def _goal(self, seen: Snapshot, hand: NDArray[np.float64]) -> Goal:
        holds, lacking = self._judged(seen)
        place = self.thing.place
        return Goal(
            text=self._name,
            subject=self.subject,
            receptacle="" if place == MARK else place,
            holds=holds,
            gap=0.0 if holds else max(lacking - self.thing.accepts, 0.0),
            distance=self._distance(seen, hand),
        )

    def _judged(self, seen: Snapshot) -> tuple[bool, float]:
        """Whether upstream takes the goal for reached, and its measure of what is lacking."""
        env = self._env
        before = dict(env.__dict__)
        env.data, env._target_pos = self.data, seen.target
        try:
            now = env._get_curr_obs_combined_no_goal()
            observed = np.concatenate([now, now, seen.target])
            _, info = env.evaluate_state(observed, NO_ACTION)
        finally:
            env.__dict__.clear()
            env.__dict__.update(before)
        return bool(info["success"]), self._measure(info, observed, seen.target)

    def _measure(
        self, info: dict[str, Any], observed: NDArray[np.float64], target: NDArray[np.float64]
    ) -> float:
        """Upstream's measure; where it reports none, the one that its judgement is made of."""
        away = target - observed[4:7]
        match self._name:
            case "assembly-v3":  # the ring's middle: over the peg to 2 cm, and below its top
                away = target - self.data.site("RoundNut").xpos
                beside = max(float(np.hypot(away[0], away[1])) - 0.02, 0.0)
                return float(np.hypot(beside, max(-away[2], 0.0)))
            case "box-close-v3":
                return float(np.linalg.norm(away))
            case "disassemble-v3":  # as high as that
                return float(away[2])
            case "door-open-v3":
                return float(abs(away[0]))
            case "hammer-v3":  # the nail's way of 9 cm
                return 0.09 - float(self.data.joint("NailSlideJoint").qpos.item())
            case "lever-pull-v3":  # rad from upright
                return abs(float(self.data.joint("LeverAxis").qpos.item()) + np.pi / 2)
        return float(info["obj_to_target"])

    def _distance(self, seen: Snapshot, hand: NDArray[np.float64]) -> float:
        """From between the finger tips to the subject's nearest surface, m; to a mark's middle."""
        if self.subject == MARK:
            return float(np.linalg.norm(seen.target - hand))
        return min(
            surface_distance(self._env.model, self.data, geom, hand)
            for geom, owner in enumerate(self._owner_of_geom)
            if owner == self.subject
        )

    def _contacts(self) -> frozenset[tuple[str, str]]:
        name = self._owner_of_geom
        touching = {
            (min(name[a], name[b]), max(name[a], name[b]))
            for a, b in self.data.contact.geom.tolist()
        }
        return frozenset((a, b) for a, b in touching if a != b and not (a in ROBOT and b in ROBOT))


def surface_distance(
    model: mujoco.MjModel, data: mujoco.MjData, geom: int, point: NDArray[np.float64]
) -> float:
    """From a point [3] to the box around a geom, m; 0 inside."""
    middle, half = np.split(model.geom_aabb[geom], 2)
    inside = data.geom_xmat[geom].reshape(3, 3).T @ (point - data.geom_xpos[geom])
    return float(np.linalg.norm(np.maximum(np.abs(inside - middle) - half, 0.0)))
