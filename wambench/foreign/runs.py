"""Our own results as sources: runs, imported ones too, and tables with a row a cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wambench.errors import UserError
from wambench.foreign.places import Place
from wambench.foreign.source import Source
from wambench.passport import Passport
from wambench.store import STORE_NAME, Store, outcomes_frame

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("policy", "suite", "task_index", "init_state", "seed", "outcome")
MISSING = ("missing", "")  # an outcome of no episode, beside NaN


def is_run(path: Path) -> bool:
    """Whether a folder holds a store."""
    return (path / STORE_NAME).exists()


def read_run(path: Path) -> Sequence[Source]:
    """A source per policy that has finished an episode; UserError if none has."""
    with Store.read(path) as store:
        frame, passport = outcomes_frame(store), store.passport()
    return of_episodes(frame, repr(str(path)), passport)


def is_own(frame: pd.DataFrame) -> bool:
    """Whether it is a table as runs and evaluations give them."""
    return set(COLUMNS) <= set(frame.columns)


def of_episodes(
    frame: pd.DataFrame, what: str, passport: Passport | None = None, *, probed: bool = True
) -> Sequence[Source]:
    """A source per policy, of its finished episodes; ``what`` names the table in messages."""
    ended = frame[frame["outcome"].notna() & ~frame["outcome"].isin(MISSING)]
    if ended.empty:
        raise UserError(f"{what} holds no finished episode; let its sweep go on")
    found = []
    for label, rows in ended.groupby("policy", observed=True, sort=False):
        cells = {
            Place(str(suite), int(task), int(state), int(seed)): outcome == "success"
            for suite, task, state, seed, outcome in zip(
                *(rows[name] for name in COLUMNS[1:]), strict=True
            )
        }
        won = sum(cells.values())
        found.append(Source(str(label), won, len(cells), cells, passport=passport, probed=probed))
    return found
