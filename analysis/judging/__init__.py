"""Which of two policies is better, from anyone's results: ``wambench verdict``."""

from analysis.judging.asking import judged
from analysis.judging.command import command

__all__ = ["command", "judged"]
