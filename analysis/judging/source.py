"""What is known of one policy's episodes, wherever they were run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from wambench.passport import ARITHMETIC, Passport, differences

POLICY = "policy:"  # of a fingerprint, before a label
Place: TypeAlias = tuple[str, str, str]
"""Suite, task, and the episode's name within the task: what two policies may share."""


@dataclass(frozen=True)
class Source:
    """One policy's results.

    Attributes:
        label: names it in verdicts.
        successes: of ``episodes``.
        cells: place -> whether it succeeded; None: only the counts are known.
        passport: what is known of the conditions; None: nothing.
        probed: whether that holds what a sweep finds when it opens a simulator, such as pixels.
    """

    label: str
    successes: int
    episodes: int
    cells: Mapping[Place, bool] | None = None
    passport: Passport | None = None
    probed: bool = True

    @classmethod
    def of_cells(
        cls,
        label: str,
        cells: Mapping[Place, bool],
        passport: Passport | None = None,
        probed: bool = True,
    ) -> Source:
        """With the counts of its cells."""
        return cls(label, sum(cells.values()), len(cells), cells, passport, probed)


def disagreements(first: Source, second: Source) -> list[str]:
    """A line for every condition that is known of both and differs, but for the policies' own."""
    if first.passport is None or second.passport is None:
        return []
    lines = differences(first.passport, second.passport)
    return [line for line in lines if not line.startswith((POLICY, ARITHMETIC))]


def unknown(first: Source, second: Source) -> str:
    """What of the conditions nobody has compared, in words; empty: nothing."""
    if first.passport is None or second.passport is None:
        return "conditions unknown"
    return "" if first.probed and second.probed else "pixels not compared"
