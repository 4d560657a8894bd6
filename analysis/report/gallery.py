"""Examples of every kind of failure, drawn around the moment that shows it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from analysis.report.strips import Strip
from analysis.report.tables import Tables
from analysis.report.taxonomy import Failed
from wambench.cells import Cell
from wambench.cli.selecting import options_of
from wambench.store import Store, StoredCell, failed
from wambench.video import film_name

FILMS = "films"  # folder in the run directory where the page looks for films
MOST = 40  # examples; with the strips of whole episodes they keep the page below 5 MB


@dataclass(frozen=True)
class Example:
    """A failed episode.

    Attributes:
        episode: as stored.
        found: what went wrong in it, and when.
        strip: around that moment; None if it could not be drawn.
        command: films it.
        film: where the film is, seen from the page; empty if there is none yet.
    """

    episode: StoredCell
    found: Failed
    strip: Strip | None
    command: str
    film: str


def choose(
    tables: Tables, store: Store, opened: Sequence[StoredCell], most: int = MOST
) -> list[tuple[StoredCell, Failed]]:
    """One example of each policy's kinds of failure, two where there is room.

    Learned policies come first, then controls, each with its most frequent kind first. Of equal
    examples one is taken whose task is drawn anyway: opening a task takes seconds.

    Args:
        tables: of the run.
        store: the run.
        opened: episodes that are drawn anyway.
        most: examples.
    """
    if tables.taxonomy is None:
        return []
    task_of = failed(store)
    by_need: dict[tuple[str, str], list[Failed]] = {}
    for one in tables.taxonomy.episodes:
        by_need.setdefault((one.policy, one.kind), []).append(one)
    order = sorted(tables.policies, key=lambda row: row.track == "scripted")
    labels = [row.policy for row in order]
    needs = sorted(by_need, key=lambda need: (labels.index(need[0]), -len(by_need[need])))
    each = 2 if 2 * len(needs) <= most else 1
    tasks = {(stored.cell.suite, stored.cell.task_index) for stored in opened}
    chosen = []
    for need in needs[:most]:
        offers = by_need[need]
        for _ in range(min(each, len(offers))):
            # min keeps to the canonical order among equals
            best = min(offers, key=lambda one: task_of[one.key] not in tasks)
            offers.remove(best)
            tasks.add(task_of[best.key])
            chosen.append(best)
    by_key = {stored.cell.key: stored for stored in store.cells(one.key for one in chosen)}
    return [(by_key[one.key], one) for one in chosen]


def example(
    stored: StoredCell, found: Failed, strip: Strip | None, run: Path, page: Path
) -> Example:
    """Put an example together.

    Args:
        stored: the episode.
        found: what went wrong in it.
        strip: of it.
        run: the run directory as it was named.
        page: the file that will show it.
    """
    return Example(
        episode=stored,
        found=found,
        strip=strip,
        command=film_command(stored.cell, run),
        film=link(run / FILMS / film_name(stored.cell), page),
    )


def link(file: Path, page: Path) -> str:
    """A file as seen from the page; empty if it is not there."""
    if not file.is_file():
        return ""
    return quote(Path(os.path.relpath(file, page.parent)).as_posix())


def film_command(cell: Cell, run: Path) -> str:
    """The command that films one episode to where the page looks for it."""
    films = ["--out", str(run / FILMS)]
    return shlex.join(["wambench", "video", str(run), *options_of(cell), *films])
