"""What a policy says of itself, asked: conventions, determinism, batches, refusals."""

from wambench.conformance.asking import findings, subject
from wambench.conformance.line import Finding, Line, Result, Status, cause
from wambench.conformance.lines import LINES
from wambench.conformance.looks import Look
from wambench.conformance.subject import Subject

__all__ = [
    "LINES",
    "Finding",
    "Line",
    "Look",
    "Result",
    "Status",
    "Subject",
    "cause",
    "findings",
    "subject",
]
