"""The interface of the scripted experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .plan import Planner
from .scene import Scene

if TYPE_CHECKING:
    from libero.libero.envs.bddl_base_domain import BDDLBaseDomain


class Expert:
    """Closed-loop demonstrator for any LIBERO task; it reads the simulator and never steps it."""

    def __init__(self, env: BDDLBaseDomain) -> None:
        """`env`: a robosuite-level LIBERO problem (BDDLBaseDomain), reset, init state set."""
        self._planner = Planner(Scene(env))
        self._actions = self._planner.actions()

    @property
    def note(self) -> str:
        """What the expert is doing, or why it could not, in one short line."""
        return self._planner.note

    def action(self) -> np.ndarray:
        """Compute the action (7,) in [-1, 1]: position, rotation, gripper (1 closes).

        To be called once per control step; the caller may execute another action instead.
        """
        return next(self._actions)
