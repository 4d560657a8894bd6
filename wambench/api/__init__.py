"""wambench from Python: what the commands do, as functions."""

from wambench.api.evaluation import Evaluation, evaluate
from wambench.api.run import Run
from wambench.api.sweeps import sweep
from wambench.api.verdicts import Judgement, Result, Verdict, verdict

__all__ = [
    "Evaluation", "Judgement", "Result", "Run", "Verdict", "evaluate", "sweep", "verdict",
]  # fmt: skip
