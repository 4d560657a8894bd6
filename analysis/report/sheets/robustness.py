"""What perturbations cost, of all families of perturbed suites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.report.sheets.columns import HIGH, LOW, POLICY
from analysis.report.sheets.pairs import PAIR, pair_values
from analysis.report.tables import Tables
from analysis.statistics import Drop
from analysis.table import Column, Table

FAMILY = Column("family", "Family")
AXIS = Column("axis", "Axis")
VARIANTS = (Column("variants", "Variants", 0), Column("of", "of all", 0))
DROP = (
    Column("plain", "Plain, %", 1, scale=0.01),
    Column("perturbed", "Perturbed, %", 1, scale=0.01),
    Column("drop", "Drop, points", 1, scale=0.01),
    LOW,
    HIGH,
)


def robustness(tables: Tables, command: str) -> Sequence[Table]:
    """Over all axes, by axis, by magnitude; pairs; plain cells that are not there."""
    families = tables.robustness
    by_task = tuple(
        Column(f"{c.key}_by_task", f"{c.head}, by task", c.digits, c.scale) for c in DROP
    )
    return [
        Table(
            "robustness", "What perturbations cost, over all axes",
            (
                FAMILY, POLICY, *VARIANTS, Column("axes", "Axes", 0),
                Column("of_axes", "of all axes", 0), *DROP, *by_task,
            ),
            [
                {
                    "family": family.title, "policy": row.policy, "variants": row.variants,
                    "of": row.of, "axes": row.axes, "of_axes": row.of_axes,
                    **_drop(row.plain_mean),
                    **{f"{key}_by_task": value for key, value in _drop(row.weighted).items()},
                }
                for family in families
                for row in family.means
            ],
            command, "Mean of axes, and weighted by how many variants each axis has in all.",
            group="family",
        ),
        Table(
            "drops", "What perturbations cost, by axis",
            (
                FAMILY, AXIS, POLICY, *VARIANTS, Column("cells", "Pairs", 0), *DROP,
                Column("expert", "Expert, %", 1, scale=0.01),
                Column("without_plain", "No plain cell", 0), Column("unfinished", "Missing", 0),
                Column("is_paired", "Paired"),
            ),
            [
                {
                    "family": family.title, "axis": row.axis, "policy": row.policy,
                    "variants": row.variants, "of": row.of,
                    "cells": row.found.cells if row.found else 0, **_drop(row.found),
                    "expert": row.expert, "without_plain": row.without_plain,
                    "unfinished": row.unfinished,
                    "is_paired": "yes" if row.is_paired else "no: objects were placed anew",
                }
                for family in families
                for row in sorted(family.rows, key=lambda row: row.axis)
            ],
            command, "Expert: on the same perturbed cells.", group="family",
        ),
        Table(
            "magnitudes", "What perturbations cost, by kind and magnitude",
            (
                FAMILY, Column("where", "Where"), AXIS, Column("kind", "Kind"),
                Column("from", "From", 2), Column("to", "to", 2), Column("unit", "Unit"), POLICY,
                Column("cells", "Pairs", 0), *DROP,
            ),
            [
                {
                    "family": family.title, "where": row.where, "axis": row.axis,
                    "kind": row.kind, "from": row.low, "to": row.high, "unit": row.unit,
                    "policy": row.policy, "cells": row.found.cells, **_drop(row.found),
                }
                for family in families
                for row in sorted(family.curves, key=lambda row: (row.axis, row.kind))
            ],
            command, group="family",
        ),
        Table(
            "drop_pairs", "Who loses less, on the perturbed cells that both finished",
            (
                FAMILY, POLICY, Column("against", "Against"), AXIS, Column("cells", "Cells", 0),
                Column("left_out", "Left out", 0),
                Column("first_drop", "Drop of the first", 1, scale=0.01),
                Column("second_drop", "of the second", 1, scale=0.01),
                Column("difference", "First keeps more by, points", 1, scale=0.01), LOW, HIGH,
                Column("p", "p", 4), Column("p_holm", "p, Holm", 4),
                Column("verdict", "The first", wide=True),
            ),
            [
                {
                    "family": family.title, "policy": one.first, "against": one.second,
                    "axis": one.axis, "cells": one.found.cells, "left_out": one.left_out,
                    "first_drop": one.drops[0] if one.drops else None,
                    "second_drop": one.drops[1] if one.drops else None,
                    "difference": one.found.difference,
                    "low": one.found.interval[0] if one.found.interval else None,
                    "high": one.found.interval[1] if one.found.interval else None,
                    "p": one.found.p_value, "p_holm": one.verdict.p_difference,
                    "verdict": one.verdict.text,
                }
                for family in families
                for one in family.pairs
            ],
            command, "Rows of all axes are judged together, and rows of single axes.",
            group="family",
        ),
        Table(
            "perturbed_pairs", "Every two policies on the perturbed cells that both finished",
            (FAMILY, POLICY, Column("against", "Against"), *PAIR),
            [
                {"family": family.title, **pair_values(one)}
                for family in families
                for one in family.levels
            ],
            command, "Tasks are base tasks.", group="family",
        ),
        Table(
            "lacking", "Plain cells that are not there, and perturbed ones that miss them",
            (
                FAMILY, POLICY, Column("suite", "Suite"), Column("task", "Task", wide=True),
                Column("init_state", "Initial state", 0), Column("seed", "Seed", 0),
                Column("why", "Why"), Column("cells", "Perturbed cells", 0),
            ),
            [
                {"family": family.title, **vars(one)}
                for family in families
                for one in family.lacking
            ],
            command, group="family",
        ),
    ]  # fmt: skip


def _drop(found: Drop | None) -> Mapping[str, Any]:
    if found is None:
        return {}
    low, high = found.interval or (None, None)
    return {
        "plain": found.plain,
        "perturbed": found.perturbed,
        "drop": found.drop,
        "low": low,
        "high": high,
    }
