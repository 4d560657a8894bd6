"""Sweep files: what they say, and the cells that follow from it."""

from wambench.sweepfile.planning import Placing, Plan, plan, shard
from wambench.sweepfile.reading import read
from wambench.sweepfile.schema import PolicyEntry, Sample, SuiteChoice, SweepFile

__all__ = [
    "Placing", "Plan", "PolicyEntry", "Sample", "SuiteChoice", "SweepFile", "plan", "read", "shard",
]  # fmt: skip
