"""``wambench view``: look through runs in a browser; nothing is written."""

from analysis.viewing.command import command

__all__ = ["command"]
