"""One HTML page of a study of a run's own episodes, no network."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.attention.own.summary import KEPT, Tables
from analysis.attention.study import BOTH
from analysis.attention.templates import TEMPLATES


def render(manifest: Mapping[str, Any], tables: Tables, drawn: Mapping[str, Path]) -> str:
    """Lay it out: failures as pictures, then tables.

    Args:
        manifest: what was done.
        tables: what came of it.
        drawn: policy -> its figure.
    """
    figures = {
        label: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
        for label, path in drawn.items()
    }
    return TEMPLATES.get_template("own/own.html").render(
        m=manifest,
        figures=figures,
        outcomes=list(outcome_rows(tables.outcomes)),
        notes=outcome_notes(tables.outcomes),
        sinks=tables.sinks.to_dict("records"),
        agreement=[] if tables.agreement is None else list(_agreement_rows(tables.agreement)),
        effects=[] if tables.effects is None else list(_effect_rows(tables.effects)),
    )


def outcome_rows(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Rows of the table of outcomes that have numbers, sinks kept, as text."""
    for row in table[(table["sinks"] == KEPT) & (table["note"] == "")].to_dict("records"):
        yield {
            "policy": row["policy"],
            "moments": row["moments"],
            "what": f"{row['measure']} on {row['region']}, {row['camera']}",
            "success": f"{row['success']:.3g}",
            "failure": f"{row['failure']:.3g}",
            "difference": _interval(row, "difference", "+.3g"),
            "p": f"{row['p']:.2g}, {row['p_holm']:.2g} by Holm",
            "tasks": str(row["tasks"]),
        }


def outcome_notes(table: pd.DataFrame) -> list[str]:
    """Why the other rows have none, a line for each policy and reason."""
    silent = table[(table["sinks"] == KEPT) & (table["note"] != "")]
    lines = zip(silent["policy"], silent["note"], strict=True)
    return list(dict.fromkeys(f"{policy}: {note}" for policy, note in lines))


def _agreement_rows(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    for row in table.to_dict("records"):
        there = row["episodes"] > 0
        yield {
            "policy": row["policy"],
            "camera": row["camera"],
            "mean": _interval(row, "mean", "+.2f") if there else "no moment moves the action",
            "null": f"{row['null']:+.2f}" if there else "-",
            "p": f"{row['p']:.2g}" if there else "-",
            "episodes": str(row["episodes"]),
        }


def _effect_rows(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    chosen = table[(table["measure"] == "lift") & (table["camera"] == BOTH)]
    for row in chosen.to_dict("records"):
        yield {
            "policy": row["policy"],
            "map": row["map"],
            "region": row["region"],
            "mean": f"{row['mean']:.2f}",
            "null": f"{row['null']:.2f}",
            "gap": _interval(row, "gap", "+.2f"),
        }


def _interval(row: Mapping[Any, Any], name: str, form: str) -> str:
    value = format(row[name], form)
    if row["low"] != row["low"]:
        return value
    return f"{value} ({format(row['low'], form)} to {format(row['high'], form)})"
