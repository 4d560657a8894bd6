"""``wambench audit claims``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.claims.ledger import KINDS, evidence_here, ledger, summary
from analysis.claims.published import FOLDER, Published, Readings, load
from analysis.claims.rows import Kind, Row, significant
from wambench.cli.output import Json, print_json, print_table
from wambench.errors import UserError, did_you_mean

COLUMNS = ("source", "claim", "claimed", "found", "verdict", "why")

Results = Annotated[
    Path | None,
    typer.Option(help="Holds audit/<device>/*.json (latency records) and published/*.json."),
]
Runs = Annotated[
    list[Path] | None,
    typer.Option("--run", help="A run of trained published policies; success is tested on it."),
]


def claims(
    kind: Annotated[
        list[str] | None, typer.Option(help=f"Rows of this kind: {', '.join(KINDS)}.")
    ] = None,
    results: Results = None,
    runs: Runs = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also list rows that are summed up otherwise.")
    ] = False,
    json: Json = False,
) -> None:
    """Judge every published figure: reproduced, only under some condition, not, or not yet.

    FLOPs are computed at full size without weights; latencies are taken from records, success
    from runs, where there are any.

    Example: wambench audit claims --kind flops --kind ratio
    """
    published, readings, rows = judged(results, runs or (), _kinds(kind))
    if json:
        print_json(
            {
                "source": published.source,
                "convention": "1 MAC = 2 FLOPs; matrix products, convolutions, dense attention",
                "tolerance": dict(readings.tolerance),
                "verdicts": dict(summary(rows)),
                "rows": [as_json(row) for row in rows],
            }
        )
        return
    print(f"{published.source}\nFLOPs: 1 multiply-add = 2; tolerance "
          + ", ".join(f"{what} {100 * share:.0f} %" for what, share in readings.tolerance.items())
    )  # fmt: skip
    print_table(table(rows, summed=not (every or kind)), list(COLUMNS))
    print("; ".join(f"{count} {verdict}" for verdict, count in summary(rows).items()))


def judged(
    results: Path | None, runs: Sequence[Path], kinds: Sequence[Kind] = KINDS
) -> tuple[Published, Readings, list[Row]]:
    """Figures, readings and the ledger under a folder of results; None: this repository's."""
    results = folder_of(results)
    own = results / "published" if results else None
    published, readings = load(own if own and own.is_dir() else None)
    return published, readings, ledger(
        published, readings, evidence_here(results, runs, readings), kinds
    )  # fmt: skip


def folder_of(results: Path | None) -> Path | None:
    """The folder of results; UserError if one is named that is not there."""
    if results is None:
        return FOLDER.parent if FOLDER.is_dir() else None
    if not results.is_dir():
        raise UserError(f"--results {str(results)!r} is no folder; name one that exists")
    return results


def as_json(row: Row) -> dict[str, Any]:
    """A row with its verdict in full."""
    return row.model_dump(mode="json") | {"outcome": row.outcome}


def table(rows: Sequence[Row], summed: bool) -> list[Mapping[str, str]]:
    """Rows for a terminal; ``summed``: those of a table with nothing to tell are one line."""
    out: list[Mapping[str, str]] = []
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if summed and is_quiet(row):
            groups.setdefault((row.kind, row.source, row.verdict), []).append(row)
        else:
            out.append(_line(row))
    return out + [_sum(kind, source, group) for (kind, source, _), group in groups.items()]


def is_quiet(row: Row) -> bool:
    """Whether nothing was tested, or only that the paper's own digits agree."""
    untested = row.found is None and row.kind in ("success", "setting")
    return untested or row.verdict == "consistent"


def _sum(kind: str, source: str, group: Sequence[Row]) -> Mapping[str, str]:
    what = {"success": "success rates", "setting": "settings", "arithmetic": "sums and quotients"}
    reasons = {row.why for row in group}
    return {
        "source": source,
        "claim": f"{len(group)} {what[kind]}; list them with --all",
        "claimed": "",
        "found": "",
        "verdict": group[0].verdict,
        "why": reasons.pop() if len(reasons) == 1 else "",
    }


def _line(row: Row) -> Mapping[str, str]:
    return {
        "source": row.source,
        "claim": row.claim,
        "claimed": figure(row.claimed, row.unit),
        "found": found(row),
        "verdict": row.outcome,
        "why": " ".join(part for part in (row.why, row.predicted and f"({row.predicted})") if part),
    }


def figure(value: str | float, unit: str) -> str:
    """A figure as printed, with its unit."""
    shown = value if isinstance(value, str) else f"{value:g}"
    return f"{shown} {unit}".strip() if unit in ("%", "ms", "x", "M", "TFLOPs") else shown


def found(row: Row) -> str:
    """What we found, in the terms of the claim, with its interval."""
    if row.found is None:
        return ""
    if isinstance(row.claimed, str) and row.claimed.startswith("1/"):
        return f"1/{significant(1 / row.found)}" if row.found < 1 else f"{row.found:.2f} times"
    digits = f"{row.found:.2f}" if row.unit == "TFLOPs" else significant(row.found)
    interval = ""
    if row.low is not None and row.high is not None:
        interval = f" [{significant(row.low)}, {significant(row.high)}]"
    return figure(digits, row.unit) + interval


def _kinds(names: Sequence[str] | None) -> Sequence[Kind]:
    """Check the kinds asked for; all if none are."""
    for name in names or ():
        if name not in KINDS:
            raise UserError(f"no claims of kind {name!r}; {did_you_mean(name, KINDS)}")
    return [kind for kind in KINDS if not names or kind in names]
