"""Run many cells in parallel on Ray."""

from wambench.sweep.driver import SweepOptions, run_sweep
from wambench.sweep.sizing import Sizing, size_machine

__all__ = ["Sizing", "SweepOptions", "run_sweep", "size_machine"]
