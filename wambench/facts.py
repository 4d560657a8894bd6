"""What the world looked like at one moment of an episode: what explanations are made of.

Facts are read from snapshots after the episode, so a sweep pays nothing for them, and an
explanation that is thought of later can be given to old runs. See :meth:`Simulator.facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Names of what may touch besides the objects, furniture and parts that a simulator names itself.
FINGERS, HAND, ARM, SCENE = "fingers", "hand", "arm", "scene"
ROBOT = (FINGERS, HAND, ARM)

Role = Literal["object", "goal", "gripper", "arm", "distractor", "background"]
"""What a pixel shows.

``object``: what the task wants moved. ``goal``: where to. ``gripper``: hand and fingers; ``arm``:
the rest of the robot. ``distractor``: any other object or piece of furniture. ``background``: the
table, the floor, the walls and what belongs to no object.
"""


@dataclass(frozen=True)
class Goal:
    """One of the conditions that make a task's goal when all hold.

    Attributes:
        text: the condition as the suite writes it.
        subject: the object, or part of a piece of furniture, that must be moved.
        receptacle: the object, furniture or part that the subject belongs in or on; empty where
            the goal is a place on the table or a state of the subject itself.
        holds: whether the condition is met, by the suite's own predicate.
        gap: how much is lacking: the distance of the subject from where the predicate would
            accept it (m), or of its joint from there (m or rad). 0 where it holds.
        distance: m from between the finger tips to the subject's nearest surface.
    """

    text: str
    subject: str
    receptacle: str
    holds: bool
    gap: float
    distance: float


@dataclass(frozen=True)
class Facts:
    """One moment.

    Attributes:
        hand: float64 [3], the place between the finger tips, m, world.
        opening: between the finger pads, m.
        objects: loose object -> float64 [3], its origin, m, world.
        contacts: pairs of names that touch, each in alphabetical order: objects, furniture, parts,
            ``fingers``, ``hand``, ``arm`` and ``scene``.
        goals: the goal's conditions, in the suite's order.
    """

    hand: NDArray[np.float64]
    opening: float
    objects: Mapping[str, NDArray[np.float64]]
    contacts: frozenset[tuple[str, str]]
    goals: tuple[Goal, ...]

    def touch(self, one: str, other: str) -> bool:
        """Whether two named things touch."""
        return ((one, other) if one < other else (other, one)) in self.contacts

    def touching(self, name: str) -> frozenset[str]:
        """Everything that touches ``name``."""
        return frozenset(b if a == name else a for a, b in self.contacts if name in (a, b))
