"""What a run holds, added up by SQLite: few rows come out, however many episodes there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from wambench.store.store import CANONICAL, Store

CELLS = "FROM cells LEFT JOIN episodes ON cell_key = key WHERE current"
FINISHED = "FROM cells JOIN episodes ON cell_key = key WHERE current"


class Count(NamedTuple):
    """How many current cells of one policy and task ended one way; None: without an episode."""

    policy: str
    protocol: str
    suite: str
    task_index: int
    task: str
    outcome: str | None
    cells: int


class Spent(NamedTuple):
    """What one finished episode took; ``seconds``: stage -> wall time."""

    policy: str
    suite: str
    outcome: str
    steps: int
    looks: int
    seconds: Mapping[str, float]


class Trouble(NamedTuple):
    """One kind of infrastructure failure.

    ``recovered``: cells that have an episode by now; ``last``: what was said of the latest.
    """

    kind: str
    failures: int
    cells: int
    recovered: int
    last: str


class Fault(NamedTuple):
    """One distinct fault of a policy, and the key of the first cell that has it."""

    policy: str
    fault: str
    episodes: int
    first: str


def counts(store: Store) -> Sequence[Count]:
    """All current cells by policy, protocol, task and outcome, policies and tasks in order."""
    # In the order of the table, as episodes lie; in that of an index they would be sought one by
    # one all over the file.
    group = "policy, suite, task_index, task, protocol, outcome"
    rows = store.connection.execute(
        "SELECT policy, protocol, suite, task_index, task, outcome, count(*) "
        f"{CELLS.replace('cells', 'cells NOT INDEXED', 1)} GROUP BY {group} ORDER BY {group}"
    )
    return [Count(*row) for row in rows]


def paces(store: Store) -> Mapping[tuple[str, str], tuple[float, int]]:
    """(Policy, suite) -> wall seconds of all its finished episodes, and how many they are."""
    rows = store.connection.execute(
        "SELECT policy, suite, sum(json_extract(seconds, '$.total')), "
        f"count(json_extract(seconds, '$.total')) AS timed {FINISHED} "
        "GROUP BY policy, suite HAVING timed"
    )
    return {(policy, suite): (seconds, timed) for policy, suite, seconds, timed in rows}


def spent(store: Store) -> Iterator[Spent]:
    """What every finished episode took, one after the other in canonical order."""
    rows = store.connection.execute(
        f"SELECT policy, suite, outcome, steps, looks, seconds {FINISHED} ORDER BY {CANONICAL}"
    )
    for row in rows:
        yield Spent._make((*row[:5], json.loads(row[5])))


def troubles(store: Store) -> Sequence[Trouble]:
    """Infrastructure failures by kind."""
    rows = store.connection.execute(
        "SELECT kind, count(*), count(DISTINCT attempts.cell_key), "
        "count(DISTINCT CASE WHEN current THEN episodes.cell_key END), "
        # Beside max(), SQLite takes a bare column from the row that has the maximum.
        "message, max(attempts.id) FROM attempts "
        "LEFT JOIN cells ON key = attempts.cell_key "
        "LEFT JOIN episodes ON episodes.cell_key = key GROUP BY kind ORDER BY kind"
    )
    return [Trouble._make(row[:5]) for row in rows]


def faults(store: Store) -> Sequence[Fault]:
    """Distinct faults of policies, in the canonical order of their first cells."""
    rows = store.connection.execute(
        "SELECT policy, fault, episodes, key FROM (SELECT *, "
        "count(*) OVER (PARTITION BY policy, fault) AS episodes, "
        f"row_number() OVER (PARTITION BY policy, fault ORDER BY {CANONICAL}) AS place "
        f"FROM (SELECT cells.*, fault {FINISHED} AND outcome = 'policy_error')) "
        f"WHERE place = 1 ORDER BY {CANONICAL}"
    )
    return [Fault(*row) for row in rows]


def failed(store: Store) -> Mapping[str, tuple[str, int]]:
    """Key of every cell whose episode failed -> its suite and task."""
    tasks: dict[tuple[str, int], tuple[str, int]] = {}
    rows = store.connection.execute(
        f"SELECT key, suite, task_index {FINISHED} AND outcome != 'success'"
    )
    return {key: tasks.setdefault((suite, task), (suite, task)) for key, suite, task in rows}


def examples(store: Store, best: str) -> Sequence[str]:
    """Keys of a success and a failure of every policy on every task, in canonical order.

    Failures are taken before policy errors, and those first where the policy ``best`` succeeded.
    """
    rows = store.connection.execute(
        f"WITH ended AS (SELECT cells.*, outcome {FINISHED}), "
        "solved AS MATERIALIZED (SELECT DISTINCT suite, task_index, init_state, seed, 1 AS shown "
        "FROM ended WHERE policy = ? AND outcome = 'success') "
        "SELECT key FROM (SELECT *, row_number() OVER ("
        "PARTITION BY policy, suite, task_index, outcome = 'success' ORDER BY "
        "outcome = 'policy_error', shown IS NULL, init_state, seed) AS place "
        "FROM ended LEFT JOIN solved USING (suite, task_index, init_state, seed)) "
        f"WHERE place = 1 ORDER BY {CANONICAL}",
        (best,),
    )
    return [key for (key,) in rows]
