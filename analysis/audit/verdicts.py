"""The ledger as tables, and its most telling rows as the page's first words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.claims.command import figure, found, is_quiet
from analysis.claims.rows import Row
from analysis.table import Cell, Column, Table

COMMAND = "wambench audit claims"
KIND_TITLES = {
    "ratio": "FLOPs: the headline and statements of this project",
    "flops": "FLOPs of Table 5",
    "latency": "Latency",
    "parameters": "Parameters",
    "arithmetic": "Do the paper's own digits agree?",
    "success": "Success",
    "setting": "Settings of the training",
    "qualitative": "Claims without a number",
}


@dataclass(frozen=True)
class Answer:
    """A verdict in the page's first lines."""

    claim: str
    verdict: str
    found: str
    why: str


def answers(rows: Sequence[Row]) -> list[Answer]:
    """What a reviewer came for: the two headline claims against each baseline, and Table 5."""
    chosen = [row for row in rows if row.id.startswith("headline.flops_ratio/Fast")]
    chosen += [row for row in rows if row.kind == "flops"][:1]
    chosen += [row for row in rows if row.id.startswith("headline.latency_ratio/Fast")][:1]
    return [
        Answer(
            claim="Table 5's FLOPs fit one condition" if row.kind == "flops" else row.claim,
            verdict=row.outcome,
            found="" if row.kind == "flops" else found(row),
            why=row.why,
        )
        for row in chosen
    ]


def ledger(rows: Sequence[Row]) -> list[Table]:
    """One table for every kind of claim, all rows in it."""
    kinds = dict.fromkeys(row.kind for row in rows)
    return [
        Table(
            name=f"ledger-{kind}",
            title=KIND_TITLES[kind],
            columns=[
                Column("source", "Source"),
                Column("claim", "Claim", wide=True),
                Column("claimed", "Claimed"),
                Column("found", "Found"),
                Column("verdict", "Verdict"),
                Column("why", "Why", wide=True),
            ],
            rows=[_cells(row) for row in rows if row.kind == kind],
            command=f"{COMMAND} --kind {kind} --all",
        )
        for kind in kinds
    ]


def everything(rows: Sequence[Row]) -> Table:
    """All rows with raw values, for CSV and JSON."""
    names = (
        "id", "kind", "source", "claim", "claimed", "unit", "baseline", "condition", "found", "low",
        "high", "device", "predicted", "command", "verdict", "why",
    )  # fmt: skip
    return Table(
        name="ledger",
        title="The ledger: every published figure",
        columns=[Column(name, name.capitalize()) for name in (*names, "under")],
        rows=[
            {**{name: getattr(row, name) for name in names}, "under": "; ".join(row.under)}
            for row in rows
        ],
        command=f"{COMMAND} --all",
    )


def _cells(row: Row) -> Mapping[str, Cell]:
    return {
        "source": row.source,
        "claim": row.claim,
        "claimed": figure(row.claimed, row.unit),
        "found": found(row),
        "verdict": row.outcome,
        "why": f"{row.why} ({row.predicted})" if row.predicted else row.why,
        "quiet": int(is_quiet(row)),
    }
