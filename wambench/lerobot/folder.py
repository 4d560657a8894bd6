"""Write a data set: task by task, going on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from wambench.errors import UserError
from wambench.lerobot import layout
from wambench.lerobot.features import camera_keys
from wambench.lerobot.plan import Entry, Look, Outcome, Plan, plan
from wambench.lerobot.recording import GOES_ON, Job, recorded
from wambench.store import Store, StoredCell


@dataclass(frozen=True)
class Exported:
    """What an export did. ``known``: episodes that were there already."""

    episodes: int
    known: int
    frames: int  # rows: pictures of each camera


def export_lerobot(
    store: Store,
    chosen: Sequence[StoredCell],
    root: Path,
    outcome: Outcome = "all",
    look: Look | None = None,
    on_episode: Callable[[Entry, int], None] = lambda entry, total: None,
) -> Exported:
    """Write episodes of a run as a LeRobot data set of version 2.1.

    Args:
        store: the run.
        chosen: finished cells in canonical order.
        root: the folder; made, or continued if it holds the beginning of the same data set.
        outcome: of the episodes to take.
        look: of the frames.
        on_episode: told each episode that is there, with the rows of all episodes.

    Raises:
        UserError: nothing to export, a folder that holds something else, or an episode that
            cannot be drawn as it was.
    """
    wanted = plan(store, chosen, outcome, look or Look())
    try:
        _begin(root, wanted)
        return _write(store, wanted, root, on_episode)
    except OSError as error:
        raise UserError(
            f"cannot write to {str(root)!r}: {error.strerror or error}; {GOES_ON}"
        ) from None


def _begin(root: Path, wanted: Plan) -> None:
    """Sign the folder; UserError if it holds another data set, or anything else."""
    origin = root / layout.ORIGIN
    if origin.is_file():
        try:
            found = json.loads(origin.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != wanted.origin:
            raise UserError(
                f"{str(root)!r} holds an export of other episodes or at another size; "
                "name another folder"
            )
    elif _holds_files(root):
        raise UserError(f"{str(root)!r} is there already; name a folder that is new or empty")
    else:
        layout.write_text(origin, json.dumps(wanted.origin, indent=1) + "\n")


def _holds_files(root: Path) -> bool:
    """Whether there is anything but what an export that was killed at once leaves."""
    files = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    return any(".part" not in file.suffixes for file in files)


def _write(
    store: Store, wanted: Plan, root: Path, on_episode: Callable[[Entry, int], None]
) -> Exported:
    keys = list(camera_keys(wanted.suite).values())
    total = sum(entry.steps for entry in wanted.entries)
    waiting = []
    for entry in wanted.entries:
        if layout.is_whole(root, entry, keys):
            on_episode(entry, total)
        else:
            waiting.append(entry)
    # A process opens one task: all its episodes, whoever ran them.
    waiting.sort(key=lambda entry: (entry.cell.suite, entry.cell.task_index, entry.index))
    for (suite, task), group in groupby(waiting, lambda e: (e.cell.suite, e.cell.task)):
        episodes = [(entry, store.trace(entry.cell.key)) for entry in group]
        job = Job(
            root, suite, wanted.tasks[suite, task], wanted.rules, wanted.look, wanted.rendering,
            episodes,
        )  # fmt: skip
        for entry in recorded(job):
            on_episode(entry, total)
    layout.write_index(root, wanted)
    return Exported(len(wanted.entries), len(wanted.entries) - len(waiting), total)
