"""Where policies look in their own stored episodes, and what it has to do with failure."""

from analysis.attention.own.chosen import Wanted
from analysis.attention.own.running import study

__all__ = ["Wanted", "study"]
