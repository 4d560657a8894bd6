"""What went wrong in episodes that did not succeed, read from their stored snapshots."""

from analysis.failures.definitions import DEFINITIONS, Label, Thresholds
from analysis.failures.explaining import Failure, explain

__all__ = [
    "DEFINITIONS",
    "Failure",
    "Label",
    "Thresholds",
    "explain",
]
