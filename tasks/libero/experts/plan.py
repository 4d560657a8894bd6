"""From the goal of a task to an ordered sequence of skills, with retries."""

from collections.abc import Iterator

import numpy as np

from .articulated import Joints
from .motion import Actions, Mover
from .pick_place import Hands
from .scene import Scene
from .slide import slide

# Opening makes room, closing comes after things were put inside.
ORDER = {"open": 0, "turnon": 1, "turnoff": 1, "in": 2, "on": 2, "close": 3}

PATIENCE = 3  # attempts at a goal before the next one gets its turn
AJAR = 0.10  # m; a drawer that is out by less is opened before something is put in


class Planner:
    """Works on the first unmet goal until all are met; never stops trying."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.mover = Mover(scene)
        self.hands = Hands(scene, self.mover)
        self.joints = Joints(scene, self.mover)
        self.goals = sorted(
            (list(g) for g in scene.env.parsed_problem["goal_state"]),
            key=lambda g: ORDER.get(g[0].lower(), 2),
        )
        self.note = "starting"

    def actions(self) -> Iterator[np.ndarray]:
        """Endless stream of actions (7,)."""
        failures = [0] * len(self.goals)
        while True:
            unmet = [k for k, goal in enumerate(self.goals) if not self.scene.holds(goal)]
            if not unmet:
                self.note = "all goals hold"
                yield from self.mover.wait(1)
                continue
            # In order, since a closed drawer takes nothing; after some failures try another one.
            k = min(unmet, key=lambda k: (failures[k] // PATIENCE, k))
            self.note = " ".join(self.goals[k])
            yield from self._achieve(self.goals[k])
            yield from self.mover.wait(1)  # the predicates see a release one step later
            if not self.scene.holds(self.goals[k]):
                failures[k] += 1
                yield from self.mover.wait(5)  # let things come to rest

    def _achieve(self, goal: list[str]) -> Actions:
        kind = goal[0].lower()
        if kind in ("in", "on"):
            return (yield from self._move(goal[1], goal[2], kind == "in"))
        if kind in ("turnon", "turnoff"):
            return (yield from self.joints.turn_knob(goal[1], kind == "turnon"))
        hinged = not self.scene.is_region(goal[1])
        if kind == "close":
            skill = self.joints.close_door if hinged else self.joints.close_drawer
            return (yield from skill(goal[1]))
        if kind == "open" and not hinged:
            return (yield from self.joints.open_drawer(goal[1]))
        self.note = f"no skill for {goal}"
        return False

    def _move(self, name: str, target: str, inside: bool) -> Actions:
        if inside and self._is_shut_drawer(target):
            yield from self.joints.open_drawer(target)
        if not self.hands.holding(name) and not (yield from self.hands.pick(name, target, inside)):
            self.note = f"no grasp of {name}"
            if self.scene.is_region(target) and self.scene.parent(target) is None:
                return (yield from slide(self.scene, self.mover, name, target))
            return False
        if not (yield from self.hands.place(name, target, inside)):
            self.note = f"cannot place {name}"
            return False
        return True

    def _is_shut_drawer(self, target: str) -> bool:
        if not self.scene.is_region(target) or self.scene.joint(target) < 0:
            return False
        return self.joints.opening(target) < AJAR
