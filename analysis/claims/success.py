"""Success rates: what it would take to test each, and the test where runs are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.claims.published import Number, Published, Readings, Table
from analysis.claims.rows import Finding, Row, judge
from analysis.statistics import rate_interval
from wambench.store import Store, counts

COMMAND = "wambench sweep FILE --out RUN, then wambench audit claims --run RUN"
ROBOTS = {"table4_real_robot": "the paper's robot"}
ROBOTWIN = "robotwin"


@dataclass(frozen=True)
class Score:
    """Episodes of one policy on one suite, with the files' weights."""

    successes: int
    episodes: int


Scores = Mapping[tuple[str, str], Score]
"""(policy, suite) -> score."""


def scores(runs: Sequence[Path]) -> Scores:
    """Pool the episodes of published-track policies with real weights; UserError for no run."""
    found: dict[tuple[str, str], Score] = {}
    for run in runs:
        with Store.read(run) as store:
            known = store.policies()
            for count in counts(store):
                choice, spec = known[count.policy]
                is_random = choice.options.get("weights") == "random"
                if spec.track != "published" or is_random or count.outcome is None:
                    continue
                key = choice.name, count.suite
                old = found.get(key, Score(0, 0))
                won = count.cells if count.outcome == "success" else 0
                found[key] = Score(old.successes + won, old.episodes + count.cells)
    return found


def rows(published: Published, readings: Readings, given: Scores) -> list[Row]:
    """A row for every success rate of every table."""
    out = []
    for key, table in published.tables.items():
        if table.units == "%":
            out += [
                _row(key, table, name, column, claimed, readings, given)
                for (name, column), claimed in table.numbers().items()
            ]
    return out


def _row(
    key: str,
    table: Table,
    name: str,
    column: str,
    claimed: Number,
    readings: Readings,
    given: Scores,
) -> Row:
    policy = readings.policies.get(name)
    if policy and ROBOTWIN in f"{key}.{column}":
        policy = readings.robotwin_policies.get(name)
    suites = readings.suites.get(key, {}).get(column, ())
    bare = Row(
        id=f"{key}.{name}.{column}",
        kind="success",
        source=table.source,
        claim=f"{name} succeeds in {claimed:g} % of episodes ({column.replace('_', ' ')})",
        claimed=claimed,
        unit="%",
        condition=table.title,
        command=COMMAND,
        verdict="needs weights",
        why=f"No trained weights of {policy} are here."
        if policy
        else f"{name} is not built here, and no weights of it are.",
    )
    if key in ROBOTS:
        return bare.model_copy(
            update={
                "verdict": "needs a robot",
                "command": "none",
                "why": f"It takes {ROBOTS[key]} and its weights.",
            }
        )
    played = [given[policy, suite] for suite in suites if policy and (policy, suite) in given]
    if not played or len(played) < len(suites):
        return bare
    if key not in readings.pooled and len({one.episodes for one in played}) > 1:
        return bare  # a mean of suites takes as many episodes of each
    return _tested(bare, float(claimed), played, str(policy))


def _tested(bare: Row, claimed: float, played: Sequence[Score], policy: str) -> Row:
    """The claimed rate against the interval of the episodes that were played."""
    successes = sum(score.successes for score in played)
    episodes = sum(score.episodes for score in played)
    low, high = (100 * end for end in rate_interval(successes, episodes))
    finding = Finding(
        condition=f"{policy}, {episodes} episodes",
        value=100 * successes / episodes,
        assumed=True,
        low=low,
        high=high,
    )
    return bare.model_copy(
        update={
            "verdict": judge(claimed, [finding], "equal", 0.0).verdict,
            "condition": finding.condition,
            "found": finding.value,
            "low": low,
            "high": high,
            "findings": (finding,),
            "why": f"{successes} of {episodes} episodes; the 95 % interval "
            f"{low:.1f} to {high:.1f} % {'holds' if low <= claimed <= high else 'excludes'} "
            "the claim.",
        }
    )
