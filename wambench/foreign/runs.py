"""Our own runs as sources, imported ones too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wambench.errors import UserError
from wambench.foreign.places import Place
from wambench.foreign.source import Source
from wambench.store import STORE_NAME, Store, outcomes_frame


def is_run(path: Path) -> bool:
    """Whether a folder holds a store."""
    return (path / STORE_NAME).exists()


def read_run(path: Path) -> Sequence[Source]:
    """A source per policy that has finished an episode; UserError if none has."""
    with Store.read(path) as store:
        frame, passport = outcomes_frame(store), store.passport()
    frame = frame.dropna(subset=["outcome"])
    if frame.empty:
        raise UserError(f"{str(path)!r} holds no finished episode; let its sweep go on")
    found = []
    for label, own in frame.groupby("policy", observed=True, sort=False):
        cells = {
            Place(suite, int(task), int(state), int(seed)): outcome == "success"
            for suite, task, state, seed, outcome in zip(
                own["suite"], own["task_index"], own["init_state"], own["seed"], own["outcome"],
                strict=True,
            )
        }  # fmt: skip
        found.append(Source(str(label), sum(cells.values()), len(cells), cells, passport=passport))
    return found
