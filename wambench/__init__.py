"""The engine of wambench: policy contract, protocols, episodes, sweeps and the store.

Everything a plug-in author needs is importable from here; modules below may move.
"""

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

__all__ = [
    "ActionSpec",
    "Check",
    "EpisodeStart",
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
    "Simulator",
    "Step",
    "Suite",
    "SuiteSpec",
    "Task",
    "UserError",
    "Variant",
]
