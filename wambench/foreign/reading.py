"""Results of other harnesses, and our own, as sources."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from wambench.errors import UserError
from wambench.foreign.lerobot import is_lerobot, read_lerobot
from wambench.foreign.robotwin import RESULT, read_robotwin, results_below
from wambench.foreign.runs import is_run, read_run
from wambench.foreign.source import Source
from wambench.foreign.table import SUFFIXES, read_table
from wambench.foreign.vla_eval import is_aggregate, read_aggregate, read_recording

COUNTS = re.compile(r"(?:(?P<label>[^=/]+)=)?(?P<won>\d+)/(?P<all>\d+)")
NAMED = re.compile(r"(?P<label>[^=/\\]+)=(?P<path>.+)")
FORMATS = (
    f"a run directory, lerobot's eval_info.json, vla-eval's aggregate .json or recording .sqlite, "
    f"RoboTwin's {RESULT} or the folder of them, a table ({', '.join(SUFFIXES)}), or counts"
)


def read(
    given: str,
    columns: Mapping[str, str] = MappingProxyType({}),
    episodes: int | None = None,
) -> Sequence[Source]:
    """Read what was named on the command line; a source per policy.

    Args:
        given: ``492/500``, a run directory, or a file or folder of another harness; with ``NAME=``
            before it, what to call its policy.
        columns: role -> column of a table, for columns that are not called after their role.
        episodes: of each task, where a file tells rates only.

    Raises:
        UserError: it is none of these, or breaks its format.
    """
    if (counts := COUNTS.fullmatch(given)) is not None:
        return [_counts(given, counts["label"] or given, int(counts["won"]), int(counts["all"]))]
    named = None if Path(given).exists() else NAMED.fullmatch(given)
    if named is None:
        return _at(Path(given), columns, episodes)
    found = _at(Path(named["path"]), columns, episodes)
    if len(found) != 1:
        raise UserError(
            f"{given!r} gives one name to {len(found)} policies; leave {named['label']}= out"
        )
    return [replace(found[0], label=named["label"])]


def _at(path: Path, columns: Mapping[str, str], episodes: int | None) -> Sequence[Source]:
    if path.is_dir():
        return _folder(path, episodes)
    if not path.exists():
        raise UserError(
            f"{str(path)!r} is no file and no run directory; counts are written 492/500 or "
            "NAME=492/500"
        )
    if path.name == RESULT:
        return read_robotwin([path], episodes)
    if path.suffix == ".json":
        return [_json(path)]
    if path.suffix == ".sqlite":
        return [read_recording(path)]
    if path.suffix in SUFFIXES:
        return read_table(path, columns)
    raise UserError(f"{str(path)!r}: cannot read {path.suffix or 'such files'}; use {FORMATS}")


def _folder(path: Path, episodes: int | None) -> Sequence[Source]:
    if not is_run(path) and (results := results_below(path)):
        return read_robotwin(results, episodes)
    return read_run(path)


def _json(path: Path) -> Source:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeError) as error:
        raise UserError(f"{str(path)!r} is no JSON ({error}); write it again") from None
    if is_lerobot(content):
        return read_lerobot(path, content)
    if is_aggregate(content):
        return read_aggregate(path, content)
    raise UserError(
        f"{str(path)!r} has neither per_episode nor per_task (lerobot) nor benchmark and tasks "
        "(vla-eval); write other results as a table with a row per episode"
    )


def _counts(given: str, label: str, successes: int, episodes: int) -> Source:
    if episodes == 0 or successes > episodes:
        raise UserError(
            f"{given!r}: {successes} successes of {episodes} episodes cannot be; write 492/500"
        )
    return Source(label, successes, episodes)
