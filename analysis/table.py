"""A table as data: pages, CSV, LaTeX, Markdown and JSON are all written from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | int | float | None
NOTHING = "–"
THIN_SPACE = "\u202f"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: in rows, CSV and JSON; says the unit of raw numbers.
        head: for people.
        digits: after the point; None: text.
        scale: people see raw numbers divided by it.
        wide: text that needs room.
    """

    key: str
    head: str
    digits: int | None = None
    scale: float = 1
    wide: bool = False

    def show(self, value: Cell) -> str:
        """A cell for people."""
        if value is None or value == "":
            return NOTHING
        if isinstance(value, str) or self.digits is None:
            return str(value)
        scaled = value / self.scale
        if scaled and abs(scaled) < 10**-self.digits:
            return f"{scaled:.1e}"
        return f"{scaled:,.{self.digits}f}".replace(",", THIN_SPACE)


@dataclass(frozen=True)
class Table:
    """Rows under columns.

    Attributes:
        name: of its files.
        command: that prints these numbers.
        note: what a reader must know.
        group: key whose value stands above its rows once, instead of in a column.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Cell]]
    command: str
    note: str = ""
    group: str = ""
    track: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def groups(self) -> Mapping[str, Sequence[Mapping[str, Cell]]]:
        """Rows by group, in their order; one nameless group where there are none."""
        found: dict[str, list[Mapping[str, Cell]]] = {}
        for row in self.rows:
            found.setdefault(str(row[self.group]) if self.group else "", []).append(row)
        return found

    def shown(self) -> Sequence[Column]:
        """Columns that people see."""
        return [column for column in self.columns if column.key != self.group]
