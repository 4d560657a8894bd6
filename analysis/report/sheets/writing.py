"""All tables of a report, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.report.sheets.costs import costs
from analysis.report.sheets.outcomes import attention, failures, imagined, success
from analysis.report.sheets.pairs import pairs
from analysis.report.sheets.robustness import robustness
from analysis.report.sheets.thinking import thinking
from analysis.report.tables import Tables
from analysis.table import Table
from analysis.writing import as_csv, as_latex, as_markdown, document
from wambench.errors import UserError


def sheets(tables: Tables, command: str) -> Sequence[Table]:
    """The tables, of raw numbers; ``command`` prints them."""
    kinds = (success, pairs, robustness, thinking, costs, failures, attention, imagined)
    return [table for kind in kinds for table in kind(tables, command)]


def write_sheets(tables: Tables, folder: Path, command: str) -> Sequence[Path]:
    """Write every table that has rows in three forms, and a LaTeX document of all of them.

    Raises UserError for a folder that refuses.
    """
    found = [table for table in sheets(tables, command) if table.rows]
    preface = f"Run {tables.run}, protocol {tables.protocol}. Intervals are of 95 per cent."
    content = {"report.tex": document(found, preface)}
    content |= {f"{table.name}.csv": as_csv(table) for table in found}
    content |= {f"{table.name}.tex": as_latex(table) for table in found}
    content["report.md"] = "\n".join(as_markdown(table) for table in found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in content.items():
            part = folder / f"{name}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(folder / name)
    except OSError as error:
        raise UserError(
            f"cannot write to {str(folder)!r}: {error.strerror or error}; choose another --tables"
        ) from None
    return [folder / name for name in content]
