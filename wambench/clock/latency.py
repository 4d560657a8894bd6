"""How long a decision takes, and who says so."""

from __future__ import annotations

import statistics
from typing import Literal

from pydantic import Field

from wambench.contract import Frozen

Source = Literal["constant", "measured", "predicted", "claimed"]
"""``measured``: in a latency record; ``predicted``: by the roofline, for a GPU nobody timed;
``claimed``: printed in a publication. The kinds are never mixed in one number."""


class Latency(Frozen):
    """Milliseconds from an observation to its actions.

    Attributes:
        ms: one number, or samples of which each decision draws one.
        source: where they come from.
        about: the same in words: which record, GPU or table.
        where: on what, for policies to be set side by side: a GPU and how it is used, a table.
    """

    ms: tuple[float, ...] = Field(min_length=1)
    source: Source = "constant"
    about: str = ""
    where: str = ""

    @property
    def typical_ms(self) -> float:
        """The median."""
        return statistics.median(self.ms)

    def draw(self, seed: int) -> float:
        """The milliseconds of one decision; ``seed`` decides which sample it gets."""
        return self.ms[seed % len(self.ms)]
