"""The tables of a report as CSV, LaTeX and Markdown, for papers and spreadsheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.pairing import Comparison
from analysis.report.score import Score
from analysis.report.tables import Tables
from analysis.table import Column, Table
from analysis.writing import as_csv, as_latex, as_markdown, document
from wambench.errors import UserError

POLICY = Column("policy", "Policy")
SCORE = (
    Column("successes", "Successes", 0),
    Column("episodes", "Episodes", 0),
    Column("rate", "Rate, %", 1, scale=0.01),
    Column("low", "low", 1, scale=0.01),
    Column("high", "high", 1, scale=0.01),
)
PAIR = (
    Column("cells", "Cells", 0),
    Column("only_first", "Only first", 0),
    Column("only_second", "Only second", 0),
    Column("difference", "Difference, points", 1, scale=0.01),
    Column("low", "low", 1, scale=0.01),
    Column("high", "high", 1, scale=0.01),
    Column("p", "p, Holm", 4),
    Column("verdict", "The first is"),
)


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


def sheets(tables: Tables, command: str) -> Sequence[Table]:
    """The tables, of raw numbers; ``command`` prints them."""
    return [
        Table(
            "success", "Success of each policy over all suites",
            (POLICY, Column("track", "Track"), *SCORE, Column("missing", "Missing", 0)),
            [
                {"policy": row.policy, "track": row.track, **_score(row.score)}
                for row in tables.policies
            ],
            command, "Wilson intervals, which take episodes as independent.",
        ),
        Table(
            "suites", "Success of each policy on each suite",
            (Column("suite", "Suite"), POLICY, *SCORE),
            [
                {"suite": row.suite, "policy": row.policy, **_score(row.score)}
                for row in sorted(tables.by_suite, key=lambda row: row.suite)
            ],
            command, group="suite",
        ),
        Table(
            "tasks", "Success of each policy on each task",
            (
                Column("suite", "Suite"), Column("task_index", "Task", 0),
                Column("instruction", "Instruction", wide=True), POLICY, *SCORE[:3],
            ),
            [
                {
                    "suite": row.suite, "task_index": row.task_index, "policy": row.policy,
                    "instruction": row.instruction, **_score(row.score),
                }
                for row in sorted(tables.by_task, key=lambda row: (row.suite, row.task_index))
            ],
            command, group="suite",
        ),
        Table(
            "pairs", "Every two policies on the cells that both finished",
            (POLICY, Column("against", "Against"), *PAIR),
            [_pair(one) for one in tables.comparisons],
            command, "Verdicts are judged together, by Holm's method.",
        ),
        Table(
            "variants", "The same policy under other options",
            (Column("policy", "Variant"), Column("against", "As it is"), *PAIR),
            [_pair(row.found) for row in tables.variants],
            command,
        ),
        Table(
            "conditions", "What each policy is and how it was made",
            (
                POLICY, Column("parameters", "Parameters", 0),
                Column("decision_flops", "MFLOPs of a decision", 1, scale=1e6),
                Column("decision_ms", "ms of a decision", 1), Column("steps", "Steps", 0),
                Column("samples", "Samples", 0),
                Column("training_flops", "PFLOPs of training", 2, scale=1e15),
                Column("cpu_minutes", "CPU minutes of training", 0),
            ),
            [
                {
                    "policy": row.policy, "parameters": row.parameters,
                    "decision_flops": row.flops, "decision_ms": row.decision_ms,
                    "steps": row.trained.get("step"), "samples": row.trained.get("samples"),
                    "training_flops": row.training_flops, "cpu_minutes": row.cpu_minutes,
                }
                for row in tables.conditions
            ],
            command,
        ),
        Table(
            "learning", "Success after so many optimiser steps",
            (
                Column("policy", "Policy"), Column("step", "Steps", 0),
                Column("training_flops", "PFLOPs", 2, scale=1e15), *SCORE,
            ),
            [
                {
                    "policy": name, "step": age.step, "training_flops": age.training_flops,
                    **_score(age.score),
                }
                for name, ages in tables.learning.items()
                for age in ages
            ],
            command, group="policy",
        ),
    ]  # fmt: skip


def _score(score: Score) -> Mapping[str, Any]:
    return {
        "successes": score.successes,
        "episodes": score.episodes,
        "rate": score.rate,
        "low": score.low if score.episodes else None,
        "high": score.high if score.episodes else None,
        "missing": score.missing,
    }


def _pair(one: Comparison) -> Mapping[str, Any]:
    low, high = one.found.interval or (None, None)
    return {
        "policy": one.first,
        "against": one.second,
        "cells": one.found.cells,
        "only_first": one.found.only_first,
        "only_second": one.found.only_second,
        "difference": one.found.difference,
        "low": low,
        "high": high,
        "p": one.verdict.p_difference,
        "verdict": one.verdict.text,
    }
