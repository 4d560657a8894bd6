"""Tell the user how a sweep goes: a live bar on a terminal, a line now and then in a log."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from wambench.cells import Cell
from wambench.episode import EpisodeRecord

LOG_EVERY_SECONDS = 20.0


class Reporter:
    """Collects counts and shows them; as a context manager it owns the terminal's bar.

    Args:
        quiet: show nothing (``--json``).
    """

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._live = self._console.is_terminal and not quiet
        self._bar = Progress(
            TextColumn("cells"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=self._console, transient=True, disable=not self._live,
        )  # fmt: skip
        self._outcomes: Counter[str] = Counter()
        self._trouble: Counter[str] = Counter()
        self._task = self._bar.add_task("", total=0)
        self._known = self._total = 0
        self._logged = monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, total: int, known: int, waiting: int) -> None:
        """Announce the size of the sweep."""
        self._total, self._known = total, known
        self._bar.update(self._task, total=total, completed=known)
        if known:
            self.note(f"{known} of {total} cells are known already, {waiting} to run")
        else:
            self.note(f"{total} cells to run")

    def spared(self, cells: int) -> None:
        """Take cells off the sweep that need not run any more."""
        self._total -= cells
        self._bar.update(self._task, total=self._total)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False)

    def finished(self, record: EpisodeRecord) -> None:
        """Count a finished episode."""
        self._outcomes[record.outcome] += 1
        if record.outcome == "policy_error" and self._outcomes["policy_error"] <= 3:
            self.note(f"policy error: {record.cell.describe()}: {record.fault}")

    def infrastructure(self, cell: Cell, kind: str, message: str, *, again: bool) -> None:
        """Count an infrastructure failure; ``again``: the cell will be tried again."""
        self._trouble[kind] += 1
        then = "it will be tried again" if again else "given up for now"
        self.note(f"infrastructure ({kind}): {cell.describe()}: {message}; {then}")

    def update(self, eta_seconds: float) -> None:
        """Redraw."""
        done = sum(self._outcomes.values())
        parts = [f"success {self._outcomes['success']}/{done}"]
        if self._outcomes["policy_error"]:
            parts.append(f"policy errors {self._outcomes['policy_error']}")
        parts += [f"{kind} {count}" for kind, count in sorted(self._trouble.items())]
        parts.append(f"ETA {eta_seconds // 60:.0f}:{eta_seconds % 60:02.0f}")
        text = " · ".join(parts)
        if self._live:
            self._bar.update(self._task, completed=self._known + done, description=text)
        elif monotonic() - self._logged > LOG_EVERY_SECONDS:
            self._logged = monotonic()
            self.note(f"cells {self._known + done}/{self._total} · {text}")
