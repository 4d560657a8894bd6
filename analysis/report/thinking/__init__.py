"""What thinking costs: runs in which the world goes on while a policy decides."""

from analysis.report.thinking.arms import ArmRow, representatives
from analysis.report.thinking.costs import CostRow, CostTable
from analysis.report.thinking.curves import Curve
from analysis.report.thinking.rules import RuleRow
from analysis.report.thinking.section import Thinking, notices, thinking

__all__ = [
    "ArmRow",
    "CostRow",
    "CostTable",
    "Curve",
    "RuleRow",
    "Thinking",
    "notices",
    "representatives",
    "thinking",
]
