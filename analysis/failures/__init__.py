"""What went wrong in episodes that did not succeed, read from their stored snapshots."""

from analysis.failures.command import command, counts
from analysis.failures.definitions import DEFINITIONS, Label, Thresholds
from analysis.failures.explaining import Failure, explain, first_attempt
from analysis.failures.reading import Explained, Findings, explain_run

__all__ = [
    "DEFINITIONS",
    "Explained",
    "Failure",
    "Findings",
    "Label",
    "Thresholds",
    "command",
    "counts",
    "explain",
    "explain_run",
    "first_attempt",
]
