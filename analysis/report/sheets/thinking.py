"""What thinking costs: every arm, rules against each other, policies at their own cost."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.sheets.columns import HIGH, LOW, POLICY, SCORE, score_values
from analysis.report.sheets.pairs import PAIR, pair_values
from analysis.report.tables import Tables
from analysis.table import Column, Table

RULE = Column("rule", "Rule")
KIND = (
    Column("latency_ms", "Latency, ms", 0),
    Column("source", "Latency is"),
    Column("about", "Of what", wide=True),
)


def thinking(tables: Tables, command: str) -> Sequence[Table]:
    """Arms, iso-success latencies, pairs of rules, own costs."""
    found = tables.thinking
    return [
        Table(
            "thinking", "Success, and what the robot did with its time, by latency and rule",
            (
                POLICY, RULE, *KIND, *SCORE, Column("decisions", "Decisions", 0),
                Column("charged_steps", "Steps charged", 2),
                Column("charged_ms", "ms charged", 0),
                Column("waiting", "Deciding, %", 1, scale=0.01),
                Column("held", "Held, %", 1, scale=0.01),
                Column("stale", "Stale, %", 1, scale=0.01),
                Column("decisions_per_s", "Decisions per s", 2),
            ),
            [{**vars(arm), **score_values(arm.score)} for arm in (found.arms if found else ())],
            command, "Shares are of all control steps; decisions are counted per second of robot "
            "time. A wall clock never repeats.", group="policy",
        ),
        Table(
            "thinking_lost", "Latency at which success is lost against the policy's own 0 ms",
            (
                POLICY, RULE, Column("margin", "Points lost", 0, scale=0.01),
                Column("latency_ms", "Latency, ms", 0), Column("low_ms", "low", 0),
                Column("high_ms", "high", 0), Column("longest_ms", "Longest played, ms", 0),
            ),
            [
                {"policy": one.policy, "rule": one.rule, **vars(one.lost)}
                for one in (found.curves if found else ())
                if one.lost
            ],
            command, "Where a number is lacking it is more than was played.", group="policy",
        ),
        Table(
            "thinking_rules", "Rules against each other, same policy, same cells",
            (
                POLICY, *KIND, Column("first", "Rule"), Column("second", "Against"), *PAIR,
            ),
            [
                {**pair_values(row.found), **vars(row)}
                for row in (found.rules if found else ())
            ],
            command, "Verdicts are judged together, by Holm's method.", group="policy",
        ),
        Table(
            "thinking_costs", "Policies at 0 ms and at their own cost",
            (
                Column("source", "Latency is"), Column("where", "On what"), RULE, POLICY,
                Column("latency_ms", "Latency, ms", 0),
                Column("free_rate", "At 0 ms, %", 1, scale=0.01),
                Column("rank_free", "Rank", 0),
                Column("own_rate", "At own cost, %", 1, scale=0.01),
                Column("rank_own", "Rank", 0),
                Column("difference", "Change, points", 1, scale=0.01), LOW, HIGH,
                Column("verdict", "Than at 0 ms", wide=True),
            ),
            [
                {
                    **pair_values(row.found), **vars(row), "source": table.source,
                    "where": table.where, "rule": table.rule, "free_rate": row.free.rate,
                    "own_rate": row.own.rate,
                }
                for table in (found.costs if found else ())
                for row in table.rows
            ],
            command, "Kinds and places of latencies are never to be mixed.",
        ),
    ]  # fmt: skip
