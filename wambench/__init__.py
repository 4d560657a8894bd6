"""The engine of wambench: policy contract, protocols, episodes, sweeps and the store.

Everything that authors of plug-ins and callers from Python need is importable from here; modules
below may move. What only callers need is loaded when it is first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wambench.contract import (
    ActionSpec,
    EpisodeStart,
    Needs,
    Observation,
    PolicySpec,
    ProprioField,
    SuiteSpec,
)
from wambench.errors import InfrastructureFailure, UserError
from wambench.inference import Inference, Program, Step, Variant
from wambench.policy import Policy
from wambench.suite import Check, Factors, InitState, Simulator, Suite, Task

if TYPE_CHECKING:
    from wambench.api import Evaluation, Run, evaluate, sweep, verdict

__all__ = [
    "ActionSpec",
    "Check",
    "EpisodeStart",
    "Evaluation",
    "Factors",
    "Inference",
    "InfrastructureFailure",
    "InitState",
    "Needs",
    "Observation",
    "Policy",
    "PolicySpec",
    "Program",
    "ProprioField",
    "Run",
    "Simulator",
    "Step",
    "Suite",
    "SuiteSpec",
    "Task",
    "UserError",
    "Variant",
    "evaluate",
    "sweep",
    "verdict",
]


def __getattr__(name: str) -> Any:
    """What stands in ``__all__`` and is not here yet."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("wambench.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
