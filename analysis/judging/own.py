"""Tables of wambench's own: a row a cell, as runs and evaluations give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.judging.source import Source
from wambench.errors import UserError
from wambench.passport import Passport

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("policy", "suite", "task_index", "init_state", "seed", "outcome")
MISSING = ("missing", "")  # an outcome of no episode, beside NaN


def is_own(frame: pd.DataFrame) -> bool:
    """Whether it is such a table."""
    return set(COLUMNS) <= set(frame.columns)


def of_episodes(
    frame: pd.DataFrame, what: str, passport: Passport | None = None, probed: bool = True
) -> Sequence[Source]:
    """A source per policy, of its finished episodes; ``what`` names the table in messages."""
    ended = frame[frame["outcome"].notna() & ~frame["outcome"].isin(MISSING)]
    if ended.empty:
        raise UserError(f"{what} holds no finished episode; let its sweep go on")
    found = []
    for label, rows in ended.groupby("policy", observed=True, sort=False):
        cells = {
            (str(suite), str(task), f"{state}/{seed}"): outcome == "success"
            for suite, task, state, seed, outcome in zip(
                *(rows[name] for name in COLUMNS[1:]), strict=True
            )
        }
        found.append(Source.of_cells(str(label), cells, passport, probed))
    return found
