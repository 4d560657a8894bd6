"""What a reader must know before believing a run's numbers, one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.tables import PolicyRow
from wambench.passport import Passport
from wambench.store import StoredCell

FAITHFUL = ("equal", "none shipped")  # verdicts of a golden frame that need no warning


def notices(cells: Sequence[StoredCell], passport: Passport | None) -> list[str]:
    """List what is wrong or unusual with a run; empty for a complete and uniform one."""
    found = []
    missing = sum(stored.outcome is None for stored in cells)
    if missing == len(cells):
        found.append(
            f"Nothing to compare yet: all {missing} cells are missing (not run yet, or failed by "
            "infrastructure)."
        )
    elif missing:
        found.append(
            f"Incomplete: {missing} of {len(cells)} cells missing (not run yet, or failed by "
            "infrastructure). No rate counts them, so rates of two policies may be of different "
            "episodes."
        )
    if not _same_cells(cells):
        found.append(
            "The policies were not given the same cells, so their rates are not of the same "
            "episodes. Compare them task by task."
        )
    names = sorted({stored.cell.protocol for stored in cells})
    if len(names) > 1:
        found.append(f"Cells of {len(names)} protocols are mixed: {', '.join(names)}.")
    if passport is None:
        found.append("No passport: no sweep of this run got as far as opening a simulator.")
    else:
        found += [
            f"Frames of {suite} differ from the reference ({facts['golden']}): policies that "
            "look at images may score differently here."
            for suite, facts in sorted(passport.info.get("probes", {}).items())
            if facts["golden"] not in FAITHFUL
        ]
    return found


def tracks(policies: Sequence[PolicyRow]) -> str:
    """Say what these policies' figures can and cannot stand for."""
    by_track: dict[str, list[str]] = {}
    for row in policies:
        by_track.setdefault(row.track, []).append(row.policy)
    if set(by_track) == {"scripted"}:
        return (
            "All policies here are scripted: their figures show whether the measurement works, "
            "and say nothing of any published checkpoint."
        )
    kinds = {
        "scripted": "scripted, to check the measurement",
        "nano": "of the nano track, small models trained to compare paradigms at equal cost",
        "published": "published checkpoints",
        "external": "from elsewhere, their origin not checked",
    }
    parts = [
        f"{', '.join(by_track[track])} ({kind})"
        for track, kind in kinds.items()
        if track in by_track
    ]
    silent = " and ".join(sorted(set(by_track) & {"scripted", "nano"}))
    closing = f" Figures of {silent} policies say nothing of published checkpoints."
    return f"Compared here: {'; '.join(parts)}." + (closing if silent else "")


def _same_cells(cells: Sequence[StoredCell]) -> bool:
    given: dict[str, set[tuple[str, int, int, int]]] = {}
    for stored in cells:
        cell = stored.cell
        given.setdefault(cell.policy, set()).add(
            (cell.suite, cell.task_index, cell.init_state, cell.seed)
        )
    return len({frozenset(places) for places in given.values()}) == 1
