"""The paying loop's bookkeeping: which action is executed at which step, and what is charged.

Time is counted in control steps. A decision that is asked at step t and charged d steps is there
at step t + d; the world has gone on. With d = 0 this is the frozen loop, action for action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wambench.clock.rules import Rules
from wambench.contract import ActionSpec
from wambench.errors import InfrastructureFailure

Actions = NDArray[np.float64]

PREFIX = "clock/"  # of the measurements that an episode leaves


@dataclass(frozen=True)
class Decision:
    """One answer: at which step it was asked for, and how many it was charged."""

    asked: int
    steps: int


def charged_steps(ms: float, control_hz: float, rules: Rules) -> int:
    """Milliseconds in control steps."""
    steps = ms * control_hz / 1000
    if rules.rounding == "nearest":
        return math.floor(steps + 0.5 + 1e-6)
    # 150 ms at 20 Hz are three steps and not four, whatever the last bit says.
    return math.ceil(steps - 1e-6) if rules.rounding == "up" else math.floor(steps + 1e-6)


class Pace:
    """One episode's. Call :meth:`arrive`, ask if :meth:`asks`, then :meth:`next`, step by step.

    Args:
        rules: what to do.
        ahead: steps that a decision is expected to take, for asking early; None: as many as the
            last one took.
        replan_steps: actions that are meant to be executed of each chunk.
        spec: of actions.
        settle_action: the suite's no-op [dim].
    """

    def __init__(
        self,
        rules: Rules,
        ahead: int | None,
        replan_steps: int,
        spec: ActionSpec,
        settle_action: Sequence[float],
    ) -> None:
        self._rules, self._ahead, self._meant = rules, ahead, replan_steps
        self._spec, self._no_op = spec, np.array(settle_action)
        self._now = 0
        self._chunk: Actions = np.empty((0, spec.dim))
        self._at = self._left = 0  # next row of the chunk; rows still meant to be executed
        self._pending: tuple[Actions, int] | None = None  # an answer, and when it is there
        self._last: Actions | None = None
        self._decisions: list[Decision] = []
        self._free = self._held = self._stale = 0

    def arrive(self) -> None:
        """Take an answer whose time has come."""
        if self._pending is None or self._now < self._pending[1]:
            return
        fresh, self._pending = self._pending[0], None
        elapsed = self._now - self._decisions[-1].asked
        if self._rules.arrival != "from_start":
            fresh = fresh[elapsed:]
        if self._rules.arrival == "blend" and elapsed:
            fresh = _blended(self._chunk[self._at :], fresh)
        self._chunk, self._at, self._left = fresh, 0, min(self._meant, len(fresh))

    def asks(self) -> bool:
        """Whether the policy is to be asked now."""
        if self._pending is not None:
            return False
        return self._left <= (self._expected() if self._rules.asking == "overlap" else 0)

    def committed(self) -> Actions | None:
        """What is going to be executed while the next answer is thought out, [k, dim].

        None where the policy is not to be told, or nothing is.
        """
        if self._rules.arrival != "rtc":
            return None
        known = len(self._chunk) - self._at if self._rules.meanwhile == "continue" else self._left
        rows = self._chunk[self._at : self._at + min(self._expected(), known)]
        return rows.copy() if len(rows) else None

    def take(self, chunk: Actions, steps: int) -> None:
        """Note an answer [n, dim] to what was seen now, which is charged so many steps."""
        self._decisions.append(Decision(self._now, steps))
        self._pending = (chunk, self._now + steps)
        self.arrive()

    def next(self) -> Actions:
        """The action [dim] of this step; time passes."""
        waiting = self._pending is not None
        beyond = self._left == 0
        may_continue = not beyond or self._rules.meanwhile == "continue"
        if self._at < len(self._chunk) and may_continue:
            action = self._chunk[self._at]
            self._at, self._left = self._at + 1, max(self._left - 1, 0)
            late = self._rules.arrival == "from_start" and self._decisions[-1].steps > 0
            self._stale += waiting or late
        else:
            self._held += 1
            action = self._still()
        self._free += not waiting
        self._now += 1
        self._last = action
        return action

    def _expected(self) -> int:
        if self._ahead is not None:
            return self._ahead
        return self._decisions[-1].steps if self._decisions else 0

    def _still(self) -> Actions:
        if self._last is None:
            return self._no_op
        if self._rules.meanwhile == "repeat" or self._spec.mode == "absolute":
            return self._last
        if self._spec.gripper == "none":
            return self._no_op
        return np.r_[self._no_op[:-1], self._last[-1]]

    def check(self, steps: int) -> None:
        """Raise InfrastructureFailure unless every decision was charged in full.

        Time that has passed = steps in which no answer was awaited + what each decision was
        charged, the last one as far as the episode went.
        """
        charged = sum(min(one.asked + one.steps, steps) - one.asked for one in self._decisions)
        if self._free + charged != steps:
            raise InfrastructureFailure(
                f"the clock is wrong: {steps} steps have passed, but {self._free} without a "
                f"decision under way and {charged} charged for decisions"
            )

    def told(self) -> Mapping[str, Sequence[float]]:
        """What an episode keeps: step and charge of every look, steps held, stale actions."""
        return {
            f"{PREFIX}asked_step": [one.asked for one in self._decisions],
            f"{PREFIX}charged_steps": [one.steps for one in self._decisions],
            f"{PREFIX}held_steps": [self._held],
            f"{PREFIX}stale_actions": [self._stale],
        }


def _blended(old: Actions, new: Actions) -> Actions:
    """``new`` [n, dim], its beginning mixed with ``old`` [m, dim]: mostly old first, then new."""
    common = min(len(old), len(new))
    weight = ((np.arange(common) + 1) / (common + 1))[:, None]
    mixed = (1 - weight) * old[:common] + weight * new[:common]
    return np.concatenate([mixed, new[common:]])
