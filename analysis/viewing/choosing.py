"""Which episodes are wanted: asked in a link, answered by SQLite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from analysis.viewing.kinds import INFRASTRUCTURE, KINDS, POLICY_ERROR, UNEXPLAINED, Kinds
from wambench.cells import Cell
from wambench.store import CANONICAL, Store, StoredCell

ROWS = 50  # of a page of the list
OUTCOMES = ("success", "failure", "policy_error", "missing")
JOINED = "FROM cells LEFT JOIN episodes ON cell_key = key WHERE current"
NAMES = ("run", "policy", "task", "outcome", "kind")


@dataclass(frozen=True)
class Choice:
    """A filter; what is empty does not filter.

    Attributes:
        run: a run's id.
        policy: a label.
        task: ``SUITE/NUMBER``.
        outcome: one of OUTCOMES.
        kind: one of KINDS.
    """

    run: str = ""
    policy: str = ""
    task: str = ""
    outcome: str = ""
    kind: str = ""

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Choice:
        """From the parameters of a link."""
        return cls(**{name: asked.get(name, "") for name in NAMES})

    def parts(self) -> Mapping[str, str]:
        """What filters, by name."""
        return {name: value for name, value in vars(self).items() if value}

    def link(self, **more: object) -> str:
        """The parameters of a link to it, and ``more`` of them."""
        return urlencode({**self.parts(), **more})

    def without(self, name: str) -> Choice:
        """The same with one filter less."""
        return replace(self, **{name: ""})

    def is_known(self) -> bool:
        """Whether anything can fit it: an outcome or kind nobody knows fits nothing."""
        return (not self.outcome or self.outcome in OUTCOMES) and (
            not self.kind or self.kind in KINDS
        )


def _conditions(choice: Choice, kinds: Kinds) -> tuple[str, list[Any]]:
    parts, values = [""], list[Any]()
    if choice.policy:
        parts.append("policy = ?")
        values.append(choice.policy)
    if choice.task:
        suite, _, number = choice.task.rpartition("/")
        parts.append("suite = ? AND task_index = ?")
        values += [suite, int(number) if number.isdecimal() and len(number) < 10 else -1]
    if not choice.is_known():
        parts.append("0")
    if choice.outcome == "missing":
        parts.append("outcome IS NULL")
    elif choice.outcome:
        parts.append("outcome = ?")
        values.append(choice.outcome)
    if choice.kind == POLICY_ERROR:
        parts.append("outcome = 'policy_error'")
    elif choice.kind == INFRASTRUCTURE:
        parts.append("outcome IS NULL AND key IN (SELECT cell_key FROM attempts)")
    elif choice.kind:
        negated = "NOT" if choice.kind == UNEXPLAINED else ""
        parts.append(f"outcome = 'failure' AND key {negated} IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(kinds.keys(choice.kind)))
    return " AND ".join(parts), values


def _source(choice: Choice) -> str:
    """Without episodes where none is asked about: they lie all over the file."""
    return JOINED if choice.outcome or choice.kind else "FROM cells WHERE current"


def count(store: Store, choice: Choice, kinds: Kinds) -> int:
    """How many cells of a run fit."""
    conditions, values = _conditions(choice, kinds)
    query = f"SELECT count(*) {_source(choice)}{conditions}"
    (found,) = store.connection.execute(query, values).fetchone()
    return int(found)


def some(
    store: Store, choice: Choice, kinds: Kinds, start: int, most: int = ROWS
) -> Sequence[StoredCell]:
    """Cells that fit in canonical order, from the ``start``-th on."""
    conditions, values = _conditions(choice, kinds)
    rows = store.connection.execute(
        f"SELECT key {_source(choice)}{conditions} ORDER BY {CANONICAL} LIMIT ? OFFSET ?",
        [*values, most, start],
    )
    return store.cells([key for (key,) in rows])


def beside(store: Store, choice: Choice, kinds: Kinds, cell: Cell | None, step: int) -> str | None:
    """Key of the next cell that fits (``step`` 1) or the one before (-1); None: there is none.

    Without a cell: the first, or the last.
    """
    conditions, values = _conditions(choice, kinds)
    if cell is not None:
        conditions += f" AND ({CANONICAL}) {'>' if step > 0 else '<'} (?, ?, ?, ?, ?)"
        values += cell.place
    order = CANONICAL if step > 0 else ", ".join(f"{name} DESC" for name in CANONICAL.split(", "))
    found = store.connection.execute(
        f"SELECT key {_source(choice)}{conditions} ORDER BY {order} LIMIT 1", values
    ).fetchone()
    return found[0] if found else None


def same_place(store: Store, cell: Cell) -> Sequence[StoredCell]:
    """Episodes on the same task, initial state and seed, of every policy."""
    rows = store.connection.execute(
        "SELECT key FROM cells JOIN episodes ON cell_key = key WHERE current "
        "AND suite = ? AND task = ? AND init_state = ? AND seed = ?",
        (cell.suite, cell.task, cell.init_state, cell.seed),
    )
    return store.cells([key for (key,) in rows])
