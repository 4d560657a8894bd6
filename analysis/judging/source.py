"""What is known of one policy's episodes, wherever they were run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Place: TypeAlias = tuple[str, str, str]
"""Suite, task, and the episode's name within the task: what two policies may share."""


@dataclass(frozen=True)
class Source:
    """One policy's results.

    Attributes:
        label: names it in verdicts.
        successes: of ``episodes``.
        cells: place -> whether it succeeded; None: only the counts are known.
        known: field -> value of what is known of the conditions, such as a protocol's fields;
            what is not in it is unknown.
    """

    label: str
    successes: int
    episodes: int
    cells: Mapping[Place, bool] | None = None
    known: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_cells(
        cls, label: str, cells: Mapping[Place, bool], known: Mapping[str, str] | None = None
    ) -> Source:
        """With the counts of its cells."""
        return cls(label, sum(cells.values()), len(cells), cells, known or {})


def disagreements(first: Source, second: Source) -> list[str]:
    """A line for every condition that is known of both and differs; unknown ones are not equal.

    They are no reason to refuse either: see :func:`unknown`.
    """
    return [
        f"{name} is {first.known[name]} for {first.label} and {second.known[name]} "
        f"for {second.label}"
        for name in first.known
        if second.known.get(name, first.known[name]) != first.known[name]
    ]


def unknown(first: Source, second: Source) -> bool:
    """Whether conditions of either are unknown, so that nobody has compared them."""
    return not first.known or not second.known
