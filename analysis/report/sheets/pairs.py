"""Policies against each other: pairs, variants, ranks, and a run against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.pairing import Comparison
from analysis.report.sheets.columns import HIGH, LOW, POLICY
from analysis.report.tables import Tables
from analysis.report.words import plain
from analysis.table import Column, Table

PAIR = (
    Column("cells", "Cells", 0),
    Column("left_out", "Left out", 0),
    Column("only_first", "Only first", 0),
    Column("only_second", "Only second", 0),
    Column("difference", "Difference, points", 1, scale=0.01),
    LOW,
    HIGH,
    Column("p", "p", 4),
    Column("p_holm", "p, Holm", 4),
    Column("verdict", "The first is", wide=True),
)


def pairs(tables: Tables, command: str) -> Sequence[Table]:
    """All comparisons of policies."""
    changed, ranks, standing = tables.changes, tables.ranks, tables.standing
    return [
        Table(
            "changes", "Each policy now against itself then, on the cells that both runs finished",
            (POLICY, *PAIR),
            [
                {**pair_values(one), "policy": one.first.removesuffix(" now")}
                for one in (changed.comparisons if changed else ())
            ],
            command, f"Then: {changed.other}." if changed else "",
        ),
        Table(
            "moved", "Cells that ended otherwise",
            (
                Column("cell", "Cell", wide=True), Column("before", "Then"),
                Column("after", "Now"),
            ),
            [vars(one) for one in (changed.moved if changed else ())],
            command,
        ),
        Table(
            "pairs", "Every two policies on the cells that both finished",
            (POLICY, Column("against", "Against"), *PAIR),
            [pair_values(one) for one in tables.comparisons],
            command, "Verdicts are judged together, by Holm's method.",
        ),
        Table(
            "standing", "Ranks that the verdicts leave open, 1 is best",
            (
                POLICY, Column("best_rank", "Best", 0), Column("worst_rank", "Worst", 0),
                Column("may_be_best", "May be the best"),
            ),
            [
                {
                    "policy": label, "best_rank": best, "worst_rank": worst,
                    "may_be_best": "yes" if label in standing.best else "no",
                }
                for label, (best, worst) in (standing.ranks.items() if standing else ())
                if standing
            ],
            command, "With 95 % confidence all of these intervals hold at once.",
        ),
        Table(
            "ranks", "Mean ranks over tasks, 1 is best",
            (
                POLICY, Column("mean_rank", "Mean rank", 2), Column("tasks", "Tasks", 0),
                Column("critical_distance", "Critical distance", 2),
                Column("p", "p, Friedman", 4),
            ),
            [
                {
                    "policy": label, "mean_rank": rank, "tasks": ranks.tasks,
                    "critical_distance": ranks.critical_distance, "p": ranks.p_value,
                }
                for label, rank in (ranks.mean_ranks.items() if ranks else ())
                if ranks
            ],
            command, "On the cells that all finished.",
        ),
        Table(
            "variants", "The same policy under other options",
            (
                Column("policy", "Variant"), Column("against", "As it is"),
                Column("changed", "What differs"),
                Column("variant_rate", "Variant, %", 1, scale=0.01),
                Column("policy_rate", "As it is, %", 1, scale=0.01), Column("kept", "Kept"),
                Column("solved", "Of"), *PAIR,
            ),
            [
                {
                    **pair_values(row.found), "changed": plain(row.changed),
                    "variant_rate": row.variant_rate, "policy_rate": row.policy_rate,
                    "kept": row.kept.successes, "solved": row.kept.episodes,
                }
                for row in tables.variants
            ],
            command,
        ),
        Table(
            "chance", "Variants against random actions",
            (
                Column("policy", "Variant"), Column("against", "Chance"),
                Column("variant_rate", "Variant, %", 1, scale=0.01),
                Column("chance_rate", "Chance, %", 1, scale=0.01), *PAIR,
            ),
            [
                {
                    **pair_values(row.found), "variant_rate": row.variant_rate,
                    "chance_rate": row.chance_rate,
                }
                for row in tables.chance
            ],
            command,
        ),
    ]  # fmt: skip


def pair_values(one: Comparison) -> Mapping[str, Any]:
    """Values under :data:`PAIR`, and of which two."""
    low, high = one.found.interval or (None, None)
    return {
        "policy": one.first,
        "against": one.second,
        "cells": one.found.cells,
        "left_out": one.left_out.total,
        "only_first": one.found.only_first,
        "only_second": one.found.only_second,
        "difference": one.found.difference,
        "low": low,
        "high": high,
        "p": one.found.p_value,
        "p_holm": one.verdict.p_difference,
        "verdict": one.verdict.text,
    }
