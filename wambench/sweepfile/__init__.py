"""Sweep files: what they say, and the cells that follow from it."""

from wambench.sweepfile.planning import Placing, Plan, plan, shard
from wambench.sweepfile.reading import parse, read
from wambench.sweepfile.schema import PolicyEntry, Sample, SuiteChoice, SweepFile

__all__ = [
    "Placing", "Plan", "PolicyEntry", "Sample", "SuiteChoice", "SweepFile", "parse", "plan", "read",
    "shard",
]  # fmt: skip
