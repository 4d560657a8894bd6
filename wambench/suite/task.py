"""Tasks and their fixed initial states, and what an initial state changes of a plain one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Instructions = Literal["clean", "as_released"]
"""What the robot is told: the task's own words, or what the suite's own harness hands out."""


@dataclass(frozen=True)
class Factors:
    """What one initial state changes of a plain one, and of which.

    Attributes:
        axis: what is changed: camera, robot, language, noise, layout, ….
        kind: how, within the axis: "azimuth", "motion blur", …; empty if there is one way only.
        magnitude: how much, in ``unit``; None where there is nothing to measure.
        base_suite: of the plain cell.
        base_task: its task's name.
        base_state: its initial state; None: objects were placed anew, there is no plain cell.
    """

    axis: str
    kind: str
    magnitude: float | None
    unit: str
    base_suite: str
    base_task: str
    base_state: int | None


@dataclass(frozen=True)
class InitState:
    """One fixed initial state of a task.

    Attributes:
        name: its own name where it has one, else its number.
        instruction: what the robot is told.
        as_released: what the suite's own harness tells it, if that is something else.
        factors: None for a plain one.
        locked: what would unlock it, in one line; empty: it can be run.
    """

    name: str
    instruction: str
    as_released: str = ""
    factors: Factors | None = None
    locked: str = ""

    def told(self, instructions: Instructions) -> str:
        """What the robot is told under a protocol."""
        return (self.as_released if instructions == "as_released" else "") or self.instruction


@dataclass(frozen=True)
class Task:
    """One task of a suite.

    Attributes:
        init_states: how many fixed initial states there are.
        init_states_hash: of all of them, in order.
        named: each of them, where they differ in more than a number.
        locked: what would unlock the whole task, in one line; empty: it can be run.
        alike: its named states are trials of one thing, so a protocol says how many are run.
    """

    index: int
    name: str
    instruction: str
    init_states: int
    init_states_hash: str
    named: tuple[InitState, ...] = ()
    locked: str = ""
    alike: bool = False

    def __post_init__(self) -> None:
        if self.named and len(self.named) != self.init_states:
            raise ValueError(f"{self.name}: {len(self.named)} named of {self.init_states} states")

    def start(self, init_state: int) -> InitState:
        """The initial state of this number; raises IndexError where there is none."""
        if not 0 <= init_state < self.init_states:
            raise IndexError(f"{self.name} has {self.init_states} initial states")
        if self.named:
            return self.named[init_state]
        return InitState(str(init_state), self.instruction)

    def lock(self, init_state: int) -> str:
        """What would unlock an initial state; empty if it can be run."""
        return self.locked or self.start(init_state).locked

    @property
    def locks(self) -> tuple[str, ...]:
        """Why what cannot be run cannot, one line for each of its states (one if it has none)."""
        if self.locked and not self.init_states:
            return (self.locked,)
        return tuple(lock for state in range(self.init_states) if (lock := self.lock(state)))

    @property
    def open_states(self) -> tuple[int, ...]:
        """The initial states that can be run."""
        return tuple(state for state in range(self.init_states) if not self.lock(state))
