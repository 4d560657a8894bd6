"""The published figures, and how we read them, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError, model_validator

from analysis.claims.costs import Reading, Scope
from wambench.contract import Frozen
from wambench.errors import UserError, one_line
from wambench.shipped import shipped

CLAIMS, READINGS = "claims.json", "readings.json"
FOLDER = shipped("results/published")

Number = int | float
Read = TypeVar("Read", bound=Frozen)


class Table(Frozen):
    """A table as printed; the first column names the row.

    Attributes:
        units: of every column with numbers, or of the columns named.
    """

    source: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Number | None, ...], ...]
    units: str | Mapping[str, str]
    hardware: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _rectangular(self) -> Table:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"row {row[0]!r} has {len(row)} of {len(self.columns)} cells")
        return self

    def row(self, name: str) -> Mapping[str, Any]:
        """Cells of a row by column; raises KeyError for an unknown one."""
        for cells in self.rows:
            if cells[0] == name:
                return dict(zip(self.columns, cells, strict=True))
        raise KeyError(name)

    def unit(self, column: str) -> str:
        """Unit of a column."""
        return self.units if isinstance(self.units, str) else self.units.get(column, "")

    def half_digit(self, columns: Sequence[str]) -> float:
        """Half of the last printed digit of some columns: how far rounding may have moved them."""
        cells = (row[self.columns.index(column)] for row in self.rows for column in columns)
        return 0.5 * 10 ** -max(_digits(cell) for cell in cells)

    def numbers(self) -> Mapping[tuple[str, str], Number]:
        """(row, column) -> every number of the table."""
        return {
            (str(cells[0]), column): cell
            for cells in self.rows
            for column, cell in zip(self.columns[1:], cells[1:], strict=True)
            if isinstance(cell, int | float)
        }


class Published(Frozen):
    """All figures of a paper."""

    source: str
    note: str
    headline: Mapping[str, str | Number]
    tables: Mapping[str, Table]
    action_expert_params_million: Mapping[str, Number]
    training: Mapping[str, Any]
    qualitative: Mapping[str, str]


class Search(Frozen):
    """Conditions under which Table 5 is looked for.

    Attributes:
        usual: pictures of known rigs, by which an area is named.
        sides: smallest and largest side in pixels, and the step from one to the next.
    """

    usual: tuple[tuple[int, int], ...]
    sides: tuple[int, int, int]
    presets: tuple[str, ...]
    steps: tuple[int, ...]
    video_frames: tuple[int, ...]

    def pictures(self) -> Sequence[tuple[int, int]]:
        """One picture for every area that the sides can make; a usual one where there is one."""
        smallest, largest, step = self.sides
        sides = range(smallest, largest + 1, step)
        found = {height * width: (height, width) for height in sides for width in sides}
        found |= {height * width: (height, width) for height, width in self.usual}
        return [found[area] for area in sorted(found)]


class Statement(Frozen):
    """A ratio of costs that we state ourselves: of a baseline to the editor."""

    id: str
    claim: str
    baseline: str
    picture: tuple[int, int]
    preset: str
    scope: Scope
    ratio: float
    tolerance: float


class Weighting(Frozen):
    """Some of the tasks of a benchmark: how many of each column of a table; ``name``: in words."""

    name: str
    tasks: Mapping[str, int]


class Weightings(Frozen):
    """How the average of a table's columns may have been formed.

    Attributes:
        source: of the counts.
        note: why draws are looked at.
        all_tasks: column -> how many tasks there are.
        draws: what released scripts run by default.
    """

    source: str
    note: str
    all_tasks: Mapping[str, int]
    draws: tuple[Weighting, ...]


class Readings(Frozen):
    """How the figures are read; see the note in the file."""

    note: str
    tolerance: Mapping[str, float]
    editor: Reading
    baselines: Mapping[str, Reading]
    table5: Mapping[str, Mapping[str, Reading]]
    search: Search
    headline_pictures: tuple[tuple[int, int], ...]
    statements: tuple[Statement, ...]
    latency: Mapping[str, Mapping[str, Reading]]
    policies: Mapping[str, str]
    robotwin_policies: Mapping[str, str]
    suites: Mapping[str, Mapping[str, tuple[str, ...]]]
    pooled: tuple[str, ...]  # tables whose columns are of all episodes, not means of suites
    experts: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Mapping[str, str]]
    averages: Mapping[str, tuple[str, ...]]
    weightings: Mapping[str, Weightings]


def load(folder: Path | None = None) -> tuple[Published, Readings]:
    """Read both files; UserError in one line if one is missing or malformed."""
    folder = folder or FOLDER
    return _read(folder / CLAIMS, Published), _read(folder / READINGS, Readings)


def numbers(published: Published) -> Mapping[str, str | Number]:
    """Path -> every number the paper gives, whether a result or a setting."""
    found: dict[str, str | Number] = {
        f"headline.{name}": value for name, value in published.headline.items()
    }
    for key, table in published.tables.items():
        found |= {f"{key}.{row}.{column}": n for (row, column), n in table.numbers().items()}
    for name, value in published.action_expert_params_million.items():
        found[f"action_expert_params_million.{name}"] = value
    found |= _settings("training", published.training)
    return found


def _settings(path: str, value: Any) -> Mapping[str, Number]:
    if isinstance(value, int | float):
        return {path: value}
    parts: Mapping[Any, Any] = {}
    if isinstance(value, Mapping):
        parts = value
    elif isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    found: dict[str, Number] = {}
    for key, part in parts.items():
        found |= _settings(f"{path}.{key}", part)
    return found


def _digits(cell: Any) -> int:
    """Decimals of a number as written; 0 for anything else."""
    return len(str(cell).partition(".")[2]) if isinstance(cell, float) and cell % 1 else 0


def _read(file: Path, kind: type[Read]) -> Read:
    try:
        return kind.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(
            f"cannot read the published figures {str(file)!r}: {error.strerror or error}; "
            "name the folder that holds 'published' with --results"
        ) from None
    except ValueError as error:
        said = one_line(error) if isinstance(error, ValidationError) else f"no JSON: {error}"
        raise UserError(f"{str(file)!r}: {said}; mend the file") from None
