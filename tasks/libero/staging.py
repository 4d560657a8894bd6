"""Privileged information for policies that fail on purpose: :data:`tasks.libero.suite.STAGED`.

All of it is about the first condition of the goal that wants an object moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.libero.experts import Expert
from tasks.libero.facts import ON_OBJECT, FactFinder
from wambench.facts import FINGERS, ROBOT, Facts

BESIDE = 0.045  # m
ROOM = 0.11  # m around a free spot; the opened hand is 0.107 m to each side
AWAY = 0.15  # m from a free spot to where the object belongs
SEARCH = 0.30  # m around the object
FLAT = 0.01  # m: what is lower is no obstacle
COARSE = 0.02  # m between points of what is around, as where the expert looks for a free way


class Stage:
    """Answers for one episode; to be made after its reset."""

    def __init__(self, env: Any, finder: FactFinder, facts: Facts) -> None:
        placing = [condition for condition in finder.conditions if len(condition) == 3]
        self._condition = placing[0] if placing else None
        self._finder = finder
        scene, taken = finder.scene, set()
        for goal in facts.goals:
            taken |= {goal.subject, goal.receptacle}
        self._spots: dict[str, NDArray[np.float64]] = {}
        self._bystander = ""
        if self._condition is None:
            return
        origin = facts.objects[self._condition[1]]
        free = [name for name in facts.objects if name not in taken]
        if free:
            self._bystander = max(
                free, key=lambda name: float(np.linalg.norm(facts.objects[name] - origin))
            )
            retold = [[self._condition[0], self._bystander, self._condition[2]]]
            self._decoy = Expert(_Retold(env, retold))
        self._spots = {
            "free_spot": self._free_spot(origin),
            "beside_goal": self._beside(origin, scene.center(self._condition[2])),
        }

    def tell(self, name: str, facts: Facts) -> NDArray[np.float64]:
        """Return one of ``STAGED``; raises ValueError where the task has no such thing."""
        if self._condition is None or (
            name in ("decoy_action", "bystander") and not self._bystander
        ):
            raise ValueError(f"this task has no {name.replace('_', ' ')}; stage it in another")
        subject, text = self._condition[1], " ".join(self._condition)
        answers: Mapping[str, Callable[[], Any]] = {
            "decoy_action": lambda: self._decoy.action(),
            "bystander": lambda: facts.objects[self._bystander],
            "subject": lambda: facts.objects[subject],
            "carried": lambda: [
                facts.touch(FINGERS, subject) and facts.touching(subject) <= set(ROBOT)
            ],
            "goal_gap": lambda: [next(goal.gap for goal in facts.goals if goal.text == text)],
        }
        told = answers[name]() if name in answers else self._spots[name]
        return np.array(told, np.float64)

    def _free_spot(self, origin: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest place that nothing stands on; the roomiest one if all are crowded."""
        assert self._condition is not None
        scene = self._finder.scene
        body = scene.geoms(scene.root(self._condition[1]))
        floor = float(scene.points(body)[:, 2].min())
        around = scene.points_near(scene.others(body), origin, SEARCH + ROOM, COARSE)
        solid = around[around[:, 2] > floor + FLAT, :2]
        ticks = np.arange(-SEARCH, SEARCH + 0.01, 0.02)
        spots = origin[:2] + np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
        room = np.full(len(spots), np.inf)
        for start in range(0, len(solid), 512):
            block = solid[start : start + 512]
            room = np.minimum(room, np.linalg.norm(spots[:, None] - block, axis=2).min(1))
        goal = scene.center(self._condition[2])[:2]
        away = np.linalg.norm(spots - goal, axis=1) > AWAY
        spots, room = spots[away], room[away]
        fits = room > ROOM
        near = np.linalg.norm(spots - origin[:2], axis=1)
        choice = np.argmin(np.where(fits, near, np.inf)) if fits.any() else np.argmax(room)
        return np.r_[spots[choice], origin[2]]

    def _beside(
        self, origin: NDArray[np.float64], place: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Past the edge of the accepted area, on the side that the object comes from."""
        assert self._condition is not None
        scene, target = self._finder.scene, self._condition[2]
        way = (origin - place)[:2]
        if not scene.is_region(target):
            shift = way / np.linalg.norm(way) * (ON_OBJECT + BESIDE)
        else:
            _, axes, half = scene.region(target)
            axis = int(np.abs(way).argmax())
            shift = np.zeros(2)
            shift[axis] = np.sign(way[axis]) * ((np.abs(axes) @ half)[axis] + BESIDE)
        return place + np.r_[shift, 0.0]


class _Retold:
    """A LIBERO problem with another goal."""

    def __init__(self, env: Any, goal: list[list[str]]) -> None:
        self._env = env
        self.parsed_problem = {**env.parsed_problem, "goal_state": goal}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)
