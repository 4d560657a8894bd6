"""``wambench verdict``: which of two policies is better, from anyone's results."""

from analysis.judging.command import command

__all__ = ["command"]
