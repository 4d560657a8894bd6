"""wambench from Python: what the commands do, as functions."""

from wambench.api.evaluation import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]
