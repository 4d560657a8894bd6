"""``wambench plan``: how many episodes a question takes, and how long they run here."""

from analysis.planning.command import command

__all__ = ["command"]
