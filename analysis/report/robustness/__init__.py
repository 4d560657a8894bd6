"""What perturbations cost, in tables."""

from analysis.report.robustness.collecting import bands, robustness
from analysis.report.robustness.rows import (
    ALL,
    CurveRow,
    DropPair,
    DropRow,
    Lacking,
    MeanRow,
    Robustness,
)

__all__ = [
    "ALL",
    "CurveRow",
    "DropPair",
    "DropRow",
    "Lacking",
    "MeanRow",
    "Robustness",
    "bands",
    "robustness",
]
