"""How every command prints: a table for people, JSON for programs."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

WIDTH = 200  # of what no terminal shows
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_json(value: Any) -> None:
    """Print indented JSON."""
    print(json.dumps(value, indent=1))


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows; a terminal gets its width used, a pipe gets whole lines."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(_table(rows, columns), markup=False)


def table_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """What a pipe gets, without blanks at the ends of lines."""
    console = Console(highlight=False, width=WIDTH, file=io.StringIO())
    with console.capture() as printed:
        console.print(_table(rows, columns), markup=False)
    return "\n".join(line.rstrip() for line in printed.get().splitlines())


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    return table


def command_line() -> str:
    """The command as typed, for records."""
    return shlex.join(["wambench", *sys.argv[1:]])
