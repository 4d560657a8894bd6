"""Tables as CSV, LaTeX, Markdown and JSON."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.table import NOTHING, THIN_SPACE, Column, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    NOTHING: "--",
    THIN_SPACE: r"\,",
    "×": r"$\times$",
    "…": r"\dots{}",
}
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u030c", "`'^~\"v", strict=True))
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi pi rho sigma tau upsilon "
    "phi chi psi omega lambda"
)
_CAPITALS = "gamma delta theta lambda xi pi sigma upsilon phi psi omega"
_WIDE, _TEXT = 4.0, 1.6  # how much room text takes, in columns of numbers


def as_csv(table: Table) -> str:
    """Raw values, one row a line, headed by keys; nothing where there is no value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(column.key for column in table.columns)
    for row in table.rows:
        writer.writerow(_raw(row.get(column.key)) for column in table.columns)
    return out.getvalue()


def _raw(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def as_markdown(table: Table) -> str:
    """A GitHub table under its title, numbers to the right."""

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    columns = [*([Column(table.group, "")] if table.group else []), *table.shown()]
    rule = ["---" if column.digits is None else "---:" for column in columns]
    lines = [f"**{table.title}**", "", line(column.head for column in columns), line(rule)]
    lines += [line(c.show(row.get(c.key)) for c in columns) for row in table.rows]
    return "\n".join([*lines, "", f"{table.note} Printed by `{table.command}`.".strip(), ""])


def as_json(tables: Iterable[Table], **about: Any) -> str:
    """All tables with raw values, below what is said ``about`` them."""
    content = [
        {
            "name": table.name,
            "title": table.title,
            "track": table.track,
            "note": table.note,
            "command": table.command,
            **table.facts,
            "rows": [{c.key: row.get(c.key) for c in table.columns} for row in table.rows],
        }
        for table in tables
    ]
    return json.dumps({**about, "tables": content}, indent=1) + "\n"


def as_latex(table: Table) -> str:
    """A ``longtable``, to be read into a document."""
    columns = table.shown()
    width = _widths(columns)
    spec = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{share:.3f}\linewidth}}"
        if column.digits is None
        else "r"
        for column, share in zip(columns, width, strict=True)
    )
    head = " & ".join(latex(column.head) for column in columns)
    lines = [
        rf"\begin{{longtable}}{{@{{}}{spec}@{{}}}}",
        rf"\caption{{{latex(table.title)}}}\\",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        r"\endfirsthead",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
    ]
    for group, rows in table.groups().items():
        if group:
            title = rf"\textit{{{latex(group)}}}"
            lines.append(rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{{title}}} \\")
        for row in rows:
            cells = (latex(column.show(row.get(column.key))) for column in columns)
            lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\end{longtable}", ""])


def document(tables: Sequence[Table], preface: str = "") -> str:
    """A document of all tables, to be compiled beside them."""
    parts = [
        r"\documentclass[9pt]{extarticle}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage[a4paper,landscape,margin=1.5cm]{geometry}",
        r"\usepackage{array,booktabs,longtable}",
        r"\setlength{\tabcolsep}{2pt}",
        r"\begin{document}",
        r"\footnotesize",
        rf"\noindent {latex(preface)}",
    ]
    for table in tables:
        parts += ["", rf"\input{{{table.name}.tex}}"]
        command = latex(table.command).replace("/", r"/\allowbreak{}")
        parts += [rf"\noindent Printed by \texttt{{{command}}}. {latex(table.note)}"]
    return "\n".join([*parts, r"\end{document}", ""])


def latex(text: str) -> str:
    """Escape text for plain pdfLaTeX, each character in its own way."""
    if text.startswith("["):  # after the end of a row it would be taken for a length
        return "{[}" + latex(text[1:])
    text = "".join(c if c.isprintable() or c in _LATEX else " " for c in text)
    return "".join(_LATEX.get(c) or (c if c.isascii() else _beyond_ascii(c)) for c in text)


def _beyond_ascii(character: str) -> str:
    """A Greek letter, a letter with its accent, or the number of the code point."""
    apart = unicodedata.normalize("NFD", character)
    base, marks = apart[0], apart[1:]
    if len(marks) == 1 and base.isascii() and marks in _ACCENTS:
        return rf"\{_ACCENTS[marks]}{{{base}}}"
    kind, _, name = unicodedata.name(character, "").lower().partition(" letter ")
    name = name.replace("lamda", "lambda")  # as Unicode spells it
    if kind == "greek small" and name in _GREEK.split():
        return rf"$\{name}$"
    if kind == "greek capital" and name in _CAPITALS.split():
        return rf"$\{name.capitalize()}$"
    return f"(U+{ord(character):04X})"


def _widths(columns: Sequence[Column]) -> Sequence[float]:
    """Share of the line for each column of text, so that all columns fit side by side."""
    room = [_WIDE if c.wide else _TEXT if c.digits is None else 1.0 for c in columns]
    return [0.9 * each / sum(room) for each in room]
