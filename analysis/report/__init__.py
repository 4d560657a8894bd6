"""``wambench report``: one run as one self-contained HTML page."""

from analysis.report.command import command

__all__ = ["command"]
