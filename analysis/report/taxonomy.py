"""How episodes failed, as ``wambench failures`` found and kept it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wambench.store import Store, StoredCell

SAVED = "failures.json"  # in the run directory


@dataclass(frozen=True)
class Taxonomy:
    """Kinds of failure of a run.

    Attributes:
        counts: kind -> policy -> episodes; kinds that do not occur are left out.
        definitions: kind -> what it means, with its numbers.
        examples: kind -> one episode of it, and the evidence.
        explained, failed: episodes that are in the table, and that it should have.
    """

    counts: Mapping[str, Mapping[str, int]]
    definitions: Mapping[str, str]
    examples: Mapping[str, str]
    explained: int
    failed: int


def taxonomy(store: Store, cells: Sequence[StoredCell]) -> Taxonomy | None:
    """Read what was kept; None if nothing was, or nothing that can be read.

    Episodes that are not of this run's present cells are left out: they were explained before the
    run was extended.
    """
    failed = {s.cell.key: s for s in cells if s.outcome in ("failure", "policy_error")}
    try:
        content: Mapping[str, Any] = json.loads((store.folder / SAVED).read_text())
        rows = [row for row in content["episodes"] if row["key"] in failed]
        counts: dict[str, Counter[str]] = {label: Counter() for label in content["definitions"]}
        examples: dict[str, str] = {}
        for row in rows:
            counts[row["label"]][row["policy"]] += 1
            cell = failed[row["key"]].cell.describe()
            examples.setdefault(row["label"], f"{cell}: {row['evidence']}")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Taxonomy(
        counts={label: dict(found) for label, found in counts.items() if found},
        definitions=content["definitions"],
        examples=examples,
        explained=len(rows),
        failed=len(failed),
    )
