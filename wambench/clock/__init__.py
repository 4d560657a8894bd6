"""What a decision's time does to the world: nothing (frozen), or it goes on (paying)."""

from wambench.clock.latency import Latency
from wambench.clock.pace import PREFIX, Decision, Pace, charged_steps
from wambench.clock.rules import NAMED_RULES, ClockKind, Rules, Timing
from wambench.clock.stopwatch import Stopwatch

__all__ = [
    "NAMED_RULES",
    "PREFIX",
    "ClockKind",
    "Decision",
    "Latency",
    "Pace",
    "Rules",
    "Stopwatch",
    "Timing",
    "charged_steps",
]
