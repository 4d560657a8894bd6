"""The commands that make or show what a page shows, as a shell takes them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from wambench.cells import Cell
from wambench.cli.selecting import options_of

FILMS = "films"


def _spelt(*parts: object) -> str:
    return shlex.join(["wambench", *map(str, parts)])


def of_run(folder: Path) -> Sequence[str]:
    """What a run holds, as a table and as a page, and how its episodes failed."""
    return [_spelt("runs", "show", folder), _spelt("report", folder), of_kinds(folder)]


def of_kinds(folder: Path) -> str:
    """Explains the failures of a run, and keeps what it finds."""
    return _spelt("failures", folder)


def of_film(folder: Path, cell: Cell, camera: str = "") -> str:
    """Films an episode."""
    which = ["--camera", camera] if camera else []
    return _spelt("video", folder, *options_of(cell), "--out", FILMS, *which)


def of_replay(folder: Path, cell: Cell) -> str:
    """Runs an episode again, policy and all, and compares every step."""
    return _spelt("replay", folder, *options_of(cell))
