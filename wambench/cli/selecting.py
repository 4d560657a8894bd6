"""Choosing episodes of a run on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from wambench.cells import Cell
from wambench.errors import UserError, did_you_mean
from wambench.store import Store, StoredCell

Policy = Annotated[str | None, typer.Option("--policy", help="Only this label.")]
SuiteName = Annotated[str | None, typer.Option("--suite", help="Only this suite.")]
TaskNumber = Annotated[int | None, typer.Option("--task", min=0, help="Only this task's number.")]
InitState = Annotated[int | None, typer.Option("--init", min=0, help="Only this initial state.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Only this seed.")]


def options_of(cell: Cell) -> list[str]:
    """The options that choose one cell of a run."""
    which = {
        "--policy": cell.policy, "--suite": cell.suite, "--task": cell.task_index,
        "--init": cell.init_state, "--seed": cell.seed,
    }  # fmt: skip
    return [str(part) for option in which.items() for part in option]


@dataclass(frozen=True)
class Wanted:
    """Which episodes; None: any."""

    policy: str | None = None
    suite: str | None = None
    task: int | None = None
    init_state: int | None = None
    seed: int | None = None

    def of(self, store: Store) -> Sequence[StoredCell]:
        """The finished cells that fit, in canonical order; UserError if there are none."""
        cells = store.cells()
        for name, value, known in (
            ("policy", self.policy, {stored.cell.policy for stored in cells}),
            ("suite", self.suite, {stored.cell.suite for stored in cells}),
        ):
            if value is not None and value not in known:
                raise UserError(
                    f"no {name} {value!r} in {str(store.folder)!r}; {did_you_mean(value, known)}"
                )
        found = [stored for stored in cells if stored.outcome is not None and self._fits(stored)]
        if not found:
            raise UserError(
                f"no finished episode of {self._describe()} in {str(store.folder)!r}; "
                f"see wambench export {store.folder} --episodes episodes.csv"
            )
        return found

    def _fits(self, stored: StoredCell) -> bool:
        cell = stored.cell
        pairs = (
            (self.policy, cell.policy),
            (self.suite, cell.suite),
            (self.task, cell.task_index),
            (self.init_state, cell.init_state),
            (self.seed, cell.seed),
        )
        return all(wanted is None or wanted == there for wanted, there in pairs)

    def _describe(self) -> str:
        parts = {
            "policy": self.policy,
            "suite": self.suite,
            "task": self.task,
            "init state": self.init_state,
            "seed": self.seed,
        }
        told = [f"{name} {value}" for name, value in parts.items() if value is not None]
        return ", ".join(told) or "any policy"
