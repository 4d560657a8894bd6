"""Results of other harnesses, and our own, as sources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.judging.lerobot import read_lerobot
from analysis.judging.source import Source
from analysis.judging.table import SUFFIXES, read_table
from wambench.errors import UserError

COUNTS = re.compile(r"(?:(?P<label>[^=/]+)=)?(?P<won>\d+)/(?P<all>\d+)")


def read(given: str, columns: Mapping[str, str]) -> Sequence[Source]:
    """Read what was named on the command line: counts, a run, or a file; a source per policy.

    Args:
        given: ``492/500``, ``NAME=492/500``, a run directory, lerobot's ``eval_info.json``, or a
            CSV, Parquet or JSONL file with a row per episode.
        columns: role -> column of a table, for columns that are not called after their role.

    Raises:
        UserError: it is none of these, or breaks its format.

    """
    if (counts := COUNTS.fullmatch(given)) is not None:
        return [_counts(given, counts["label"] or given, int(counts["won"]), int(counts["all"]))]
    path = Path(given)
    if path.is_dir():
        return _run(path)
    if not path.exists():
        raise UserError(
            f"{given!r} is no file and no run directory; counts are written 492/500 or NAME=492/500"
        )
    if path.suffix == ".json":
        return [read_lerobot(path)]
    if path.suffix in SUFFIXES:
        return read_table(path, columns)
    raise UserError(f"{given!r}: cannot read {path.suffix or 'such files'}; use {_formats()}")


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
    frame = frame.dropna(subset=["outcome"])
    if frame.empty:
        raise UserError(f"{str(path)!r} holds no finished episode; let its sweep go on")
    found = []
    for label, own in frame.groupby("policy", observed=True, sort=False):
        cells = {
            (suite, str(task), f"{state}/{seed}"): outcome == "success"
            for suite, task, state, seed, outcome in zip(
                own["suite"], own["task_index"], own["init_state"], own["seed"], own["outcome"],
                strict=True,
            )
        }  # fmt: skip
        found.append(Source.of_cells(str(label), cells, passport))
    return found
