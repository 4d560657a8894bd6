"""How episodes ended: success by policy, suite and task, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.sheets.columns import POLICY, SCORE, score_values
from analysis.report.tables import Tables
from analysis.table import Column, Table


def success(tables: Tables, command: str) -> Sequence[Table]:
    """Over all suites, by suite and by task."""
    return [
        Table(
            "success", "Success of each policy over all suites",
            (
                POLICY, Column("track", "Track"), *SCORE,
                Column("suite_mean", "Mean of suites, %", 1, scale=0.01),
                Column("suite_low", "low", 1, scale=0.01),
                Column("suite_high", "high", 1, scale=0.01),
                Column("policy_errors", "Policy errors", 0), Column("missing", "Missing", 0),
            ),
            [
                {
                    "policy": row.policy, "track": row.track, **score_values(row.score),
                    "suite_mean": row.suite_mean,
                    "suite_low": row.suite_mean_interval[0] if row.suite_mean_interval else None,
                    "suite_high": row.suite_mean_interval[1] if row.suite_mean_interval else None,
                }
                for row in tables.policies
            ],
            command, "Clopper-Pearson intervals, which take episodes as independent; that of the "
            "mean of suites counts as many episodes as the tasks are worth.",
        ),
        Table(
            "suites", "Success of each policy on each suite",
            (Column("suite", "Suite"), POLICY, *SCORE),
            [
                {"suite": row.suite, "policy": row.policy, **score_values(row.score)}
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
                    "instruction": row.instruction, **score_values(row.score),
                }
                for row in sorted(tables.by_task, key=lambda row: (row.suite, row.task_index))
            ],
            command, group="suite",
        ),
    ]  # fmt: skip


def failures(tables: Tables, command: str) -> Sequence[Table]:
    """Kinds of failed episodes, failures of the machinery, faults of policies."""
    found = tables.taxonomy
    return [
        Table(
            "failures", "Failed episodes of each policy by what went wrong",
            (Column("kind", "Kind"), POLICY, Column("episodes", "Episodes", 0)),
            [
                {"kind": kind, "policy": row.policy, "episodes": counts.get(row.policy, 0)}
                for kind, counts in (found.counts if found else {}).items()
                for row in tables.policies
            ],
            command, group="kind",
        ),
        Table(
            "trouble", "Infrastructure failures by kind",
            (
                Column("kind", "Kind"), Column("failures", "Failures", 0),
                Column("cells", "Cells", 0),
                Column("recovered", "Cells that finished later", 0),
            ),
            [vars(row) for row in tables.trouble],
            command, "A failed cell is tried again.",
        ),
        Table(
            "faults", "Distinct faults of policies",
            (
                POLICY, Column("fault", "Fault", wide=True), Column("episodes", "Episodes", 0),
                Column("example", "For example", wide=True),
            ),
            [vars(row) for row in tables.faults],
            command,
        ),
    ]  # fmt: skip


def attention(tables: Tables, command: str) -> Sequence[Table]:
    """How well what policies read points at parts of the scene, and how they differ in it."""
    found = tables.attention
    columns = (
        Column("measure", "Measure"), Column("region", "Region"), Column("mean", "Mean", 2),
        Column("low", "low", 2), Column("high", "high", 2), Column("episodes", "Episodes", 0),
    )  # fmt: skip
    camera = f"Camera: {found.camera}." if found else ""
    return [
        Table(
            "attention", "What action tokens read, scored against parts of the scene",
            (Column("arm", "Map"), *columns),
            [vars(row) for row in (found.scores if found else ())],
            command, camera, group="measure",
        ),
        Table(
            "attention_pairs", "How policies differ in what they read at the same moments",
            (Column("arm", "Pair"), *columns),
            [vars(row) for row in (found.differences if found else ())],
            command, camera, group="measure",
        ),
    ]  # fmt: skip


def imagined(tables: Tables, command: str) -> Sequence[Table]:
    """How much nearer to the truth than a copy of the present what policies imagine is."""
    found = tables.imagined
    columns = (
        POLICY, Column("head", "Measure"), Column("mean", "Mean", 2), Column("low", "low", 2),
        Column("high", "high", 2), Column("episodes", "Episodes", 0),
    )  # fmt: skip
    camera = f"Camera: {found.camera}." if found else ""
    return [
        Table(
            "imagined", "Skill of what is imagined: 1 the truth, 0 a copy of the present",
            (
                Column("arm", "Prediction"), Column("truth", "Truth"), Column("region", "Region"),
                Column("mean", "Skill", 2), Column("low", "low", 2), Column("high", "high", 2),
                Column("episodes", "Episodes", 0),
            ),
            [vars(row) | {"arm": row.arm} for row in (found.skills if found else ())],
            command, camera, group="truth",
        ),
        Table(
            "consistency", "Imagined against executed frames, from draw to draw", columns,
            [vars(row) for row in (found.follows if found else ())],
            command, camera, group="policy",
        ),
        Table(
            "displacement", "Pixels from where the object truly goes", columns,
            [vars(row) for row in (found.gaps if found else ())],
            command, camera, group="policy",
        ),
    ]  # fmt: skip
