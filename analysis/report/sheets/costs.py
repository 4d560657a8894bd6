"""What policies are, how they were made, and what their episodes took."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.sheets.columns import POLICY, SCORE, score_values
from analysis.report.tables import Tables
from analysis.table import Column, Table

TOKENS = ("words", "image", "imagined", "action")


def costs(tables: Tables, command: str) -> Sequence[Table]:
    """Conditions, success against training, steps and time, here and over a wire."""
    return [
        Table(
            "conditions", "What each policy is and how it was made",
            (
                POLICY, Column("parameters", "Parameters", 0),
                *(Column(f"{kind}_tokens", f"Tokens: {kind}", 0) for kind in TOKENS),
                Column("decision_flops", "MFLOPs of a decision", 1, scale=1e6),
                Column("decision_ms", "ms of a decision", 1), Column("steps", "Steps", 0),
                Column("samples", "Samples", 0),
                Column("training_flops", "PFLOPs of training", 2, scale=1e15),
                Column("cpu_minutes", "CPU minutes of training", 0),
            ),
            [
                {
                    "policy": row.policy, "parameters": row.parameters,
                    **{f"{kind}_tokens": row.tokens.get(kind) for kind in TOKENS},
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
                POLICY, Column("label", "Weights"), Column("step", "Steps", 0),
                Column("training_flops", "PFLOPs", 2, scale=1e15),
                Column("cpu_minutes", "CPU minutes", 0), *SCORE,
            ),
            [
                {
                    "policy": name, "label": age.label, "step": age.step,
                    "training_flops": age.training_flops, "cpu_minutes": age.cpu_minutes,
                    **score_values(age.score),
                }
                for name, ages in tables.learning.items()
                for age in ages
            ],
            command, group="policy",
        ),
        Table(
            "steps", "Control steps of successful episodes, and what a worker finishes in an hour",
            (
                POLICY, Column("median_steps", "Median steps to success", 1),
                Column("fewest_steps", "Fewest", 0), Column("most_steps", "Most", 0),
                Column("episodes_per_hour", "Episodes per worker hour", 0),
            ),
            [vars(row) for row in tables.effort],
            command,
        ),
        Table(
            "stages", "Wall time by stage",
            (
                POLICY, Column("stage", "Stage"),
                Column("seconds_per_episode", "s per episode", 2),
                Column("milliseconds_per_step", "ms per control step", 2),
            ),
            [
                {"policy": row.policy, "stage": stage, **vars(time)}
                for row in tables.effort
                for stage, time in row.stages.items()
            ],
            command, group="policy",
        ),
        Table(
            "wire", "What a look took over the wire",
            (
                POLICY, Column("looks", "Looks", 0), Column("encode_ms", "Encode, ms", 2),
                Column("round_trip_ms", "Round trip, ms", 2),
                Column("round_trip_p90_ms", "Round trip, p90, ms", 2),
                Column("decode_ms", "Decode, ms", 2),
                Column("claimed_ms", "Claimed by the server, ms", 2),
                Column("transport_ms", "Round trip less claim, ms", 2),
                Column("sent_kb", "kB out", 1), Column("received_kb", "kB in", 1),
                Column("repeats", "Repeats itself"),
            ),
            [vars(row) for row in tables.wire],
            command,
        ),
    ]  # fmt: skip
