"""What a benchmark offers: suites of tasks, their initial states, and a simulator for each task.

A :class:`Suite` is light (the driver lists its tasks without importing a physics engine); a
:class:`Simulator` is heavy and lives alone in a worker process.
"""

from wambench.suite.branching import branched
from wambench.suite.simulator import Simulator, state_digest
from wambench.suite.suite import Check, Suite, first_task
from wambench.suite.task import Factors, InitState, Instructions, Task

__all__ = [
    "Check",
    "Factors",
    "InitState",
    "Instructions",
    "Simulator",
    "Suite",
    "Task",
    "branched",
    "first_task",
    "state_digest",
]
