"""A LIBERO scene that each reset dresses anew: other lights, other pictures on its surfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.libero.shift.backgrounds import Surfaces
from tasks.libero.shift.lights import PLAIN, Lamps, Light
from tasks.libero.simulator import LiberoSimulator


@dataclass(frozen=True)
class Dress:
    """What one initial state changes of a plain one, ``base_state``."""

    base_state: int
    light: Light = PLAIN
    paint: Mapping[str, str] = field(default_factory=dict)  # surface -> picture


class ShiftSimulator(LiberoSimulator):
    """One task whose initial states are plain ones that look different.

    Args:
        bddl_file, init_states, rendering: as of :class:`LiberoSimulator`.
        dresses: one per initial state.
        pictures: the folder of LIBERO's pictures.
    """

    def __init__(
        self,
        bddl_file: str,
        init_states: NDArray[np.float64],
        rendering: str,
        dresses: Sequence[Dress],
        pictures: Path,
    ) -> None:
        super().__init__(bddl_file, init_states, rendering)
        self._dresses = dresses
        model = self._env.sim.model._model
        self._lamps = Lamps(model, self._env.workspace_offset)
        self._surfaces = Surfaces(model, self.problem.lower(), pictures)

    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        """Begin where the plain episode begins, and dress the scene for all frames until the next.

        What one reset dresses the next one takes off.
        """
        dress = self._dresses[init_state]
        self._lamps.set(dress.light)
        self._drawer.repaint(self._surfaces.paint(dress.paint))
        super().reset(dress.base_state, seed, seed_once_per_task=seed_once_per_task)
