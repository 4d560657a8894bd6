"""A run directory, opened to be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wambench.passport import Passport
from wambench.store import Store, episodes_frame, timings_frame

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """A run directory: what a sweep left, or is still writing. Nothing here writes to it.

    Every call reads what is there by then.

    Args:
        path: of the directory.

    Raises:
        UserError: it is no run directory, or one of another version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self._store():
            pass  # refused now, not at the first question

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def policies(self) -> tuple[str, ...]:
        """Labels, in the order of the sweep file."""
        with self._store() as store:
            return tuple(store.policies())

    @property
    def passport(self) -> Passport | None:
        """Under what conditions it was made; None: no sweep got as far as opening a simulator."""
        with self._store() as store:
            return store.passport()

    def episodes(self) -> pd.DataFrame:
        """One row a cell, the table of ``wambench export --episodes``; outcome: or "missing"."""
        with self._store() as store:
            return episodes_frame(store)

    def timings(self) -> pd.DataFrame:
        """One row a finished episode, wall seconds by stage, as ``wambench export --timings``."""
        with self._store() as store:
            return timings_frame(store)

    @contextmanager
    def _store(self) -> Iterator[Store]:
        with Store.read(self.path) as store:
            yield store
