"""How episodes failed, as ``wambench failures`` found and kept it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wambench.store import Store, failed

SAVED = "failures.json"  # in the run directory


@dataclass(frozen=True)
class Failed:
    """One episode: what went wrong, after how many control steps, and a line of evidence."""

    key: str  # of its cell
    policy: str
    kind: str
    step: int
    evidence: str


@dataclass(frozen=True)
class Taxonomy:
    """Kinds of failure of a run.

    Attributes:
        counts: kind -> policy -> episodes; kinds that do not occur are left out.
        definitions: kind -> what it means, with its numbers.
        episodes: all that were explained, in canonical order.
        failed: how many there should be.
    """

    counts: Mapping[str, Mapping[str, int]]
    definitions: Mapping[str, str]
    episodes: Sequence[Failed]
    failed: int


def taxonomy(store: Store, policies: Collection[str]) -> Taxonomy | None:
    """Read what was kept of these policies; None if nothing was, or nothing that can be read.

    Episodes that are not of this run's present cells are left out: they were explained before the
    run was extended.
    """
    try:
        content: Mapping[str, Any] = json.loads(
            (store.folder / SAVED).read_text(encoding="utf-8-sig")
        )
        tasks = failed(store)
        counts: dict[str, Counter[str]] = {kind: Counter() for kind in content["definitions"]}
        episodes = [
            Failed(row["key"], row["policy"], row["label"], int(row["step"]), str(row["evidence"]))
            for row in content["episodes"]
            if row["key"] in tasks
        ]
        explained = len(episodes)
        episodes = [one for one in episodes if one.policy in policies]
        for one in episodes:
            counts[one.kind][one.policy] += 1
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Taxonomy(
        counts={kind: dict(found) for kind, found in counts.items() if found},
        definitions=content["definitions"],
        episodes=episodes,
        failed=len(tasks) - (explained - len(episodes)),
    )
