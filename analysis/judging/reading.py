"""Results of other harnesses, and our own, as sources."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.judging.lerobot import read_lerobot
from analysis.judging.own import of_episodes
from analysis.judging.source import Source
from analysis.judging.table import SUFFIXES, of_table, read_table
from wambench.api import Evaluation, Result, Run
from wambench.errors import UserError

COUNTS = re.compile(r"(?:(?P<label>[^=/]+)=)?(?P<won>\d+)/(?P<all>\d+)")


def read(given: Result, columns: Mapping[str, str]) -> Sequence[Source]:
    """Read what was named: counts, a run, an evaluation, a table or a file; a source per policy.

    Args:
        given: ``492/500``, ``NAME=492/500``, a run or its directory, lerobot's
            ``eval_info.json``, a CSV, Parquet or JSONL file with a row per episode, or such a
            table; an evaluation.
        columns: role -> column of a table, for columns that are not called after their role.

    Raises:
        UserError: it is none of these, or breaks its format.

    """
    if not isinstance(given, str | os.PathLike):
        return _object(given, columns)
    named = os.fspath(given)
    if (counts := COUNTS.fullmatch(named)) is not None:
        return [_counts(named, counts["label"] or named, int(counts["won"]), int(counts["all"]))]
    path = Path(named)
    if path.is_dir():
        return _run(path)
    if not path.exists():
        raise UserError(
            f"{named!r} is no file and no run directory; counts are written 492/500 or NAME=492/500"
        )
    if path.suffix == ".json":
        return [read_lerobot(path)]
    if path.suffix in SUFFIXES:
        return read_table(path, columns)
    raise UserError(f"{named!r}: cannot read {path.suffix or 'such files'}; use {_formats()}")


def _object(given: object, columns: Mapping[str, str]) -> Sequence[Source]:
    import pandas as pd

    if isinstance(given, Run):
        return _run(given.path)
    if isinstance(given, Evaluation):
        return of_episodes(given.episodes(), "the evaluation", given.passport, probed=False)
    if isinstance(given, pd.DataFrame):
        return of_table(given, "the table", "table", columns)
    raise UserError(
        f"a result of type {type(given).__name__} cannot be judged; give a run, an evaluation, a "
        "table, a path, or counts such as '492/500'"
    )


def _formats() -> str:
    return f"lerobot's eval_info.json, {', '.join(SUFFIXES)}, a run directory, or counts"


def _counts(given: str, label: str, successes: int, episodes: int) -> Source:
    if episodes == 0 or successes > episodes:
        raise UserError(
            f"{given!r}: {successes} successes of {episodes} episodes cannot be; write 492/500"
        )
    return Source(label, successes, episodes)


def _run(path: Path) -> Sequence[Source]:
    from wambench.store import Store, outcomes_frame

    with Store.read(path) as store:
        frame, passport = outcomes_frame(store), store.passport()
    return of_episodes(frame, repr(str(path)), passport)
