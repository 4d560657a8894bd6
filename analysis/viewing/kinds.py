"""Kinds of failure, as ``wambench failures`` kept them beside a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from analysis.failures import DEFINITIONS
from analysis.failures.command import SAVED
from analysis.viewing.runs import Run
from wambench.store import StoredCell

POLICY_ERROR, INFRASTRUCTURE, UNEXPLAINED = "policy error", "infrastructure", "not explained yet"
KINDS = (*DEFINITIONS, UNEXPLAINED)


@dataclass(frozen=True)
class Kind:
    """What went wrong in an episode: its label, the control step that shows it, one line."""

    label: str
    step: int
    evidence: str


@dataclass(frozen=True)
class Kinds:
    """Of one run. ``explained``: key of a cell -> its kind; empty if nothing was kept."""

    explained: Mapping[str, Kind] = field(default_factory=dict)

    def of(self, stored: StoredCell) -> Kind | None:
        """None for an episode that succeeded, or a cell that was not run yet."""
        if stored.outcome == "policy_error":
            return Kind(POLICY_ERROR, stored.steps or 0, stored.fault)
        if stored.outcome is None and stored.infrastructure_failures:
            return Kind(INFRASTRUCTURE, 0, f"failed {stored.infrastructure_failures} times")
        if stored.outcome == "failure":
            return self.explained.get(stored.cell.key, Kind(UNEXPLAINED, 0, ""))
        return None

    def keys(self, label: str) -> list[str]:
        """Cells that were explained so; for UNEXPLAINED those that were explained at all."""
        return [k for k, one in self.explained.items() if label in (one.label, UNEXPLAINED)]


class KindsOf:
    """Reads what was kept, once for every version of the file."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int], Kinds]] = {}

    def __call__(self, run: Run) -> Kinds:
        """Nothing was kept, or nothing that can be read: every failure is unexplained."""
        try:
            file = run.folder / SAVED
            status = file.stat()
            version = status.st_mtime_ns, status.st_size
            known = self._known.get(run.id)
            if known is None or known[0] != version:
                content = json.loads(file.read_text(encoding="utf-8-sig"))
                known = self._known[run.id] = version, Kinds(dict(_rows(content["episodes"])))
            return known[1]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return Kinds()


def _rows(rows: list[Mapping[str, object]]) -> Iterator[tuple[str, Kind]]:
    for row in rows:
        label = str(row["label"])
        if label in DEFINITIONS:
            yield str(row["key"]), Kind(label, int(str(row["step"])), str(row["evidence"]))
