"""What vla-eval writes: its aggregate JSON, and the SQLite recording that it is made from."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wambench.errors import UserError, one_line
from wambench.foreign.places import UNNAMED, Named
from wambench.foreign.source import Source
from wambench.foreign.values import Unreadable, truth
from wambench.passport import Passport

POLICY_FAULT = "model_act"  # of failure_reason: the policy raised; all others are infrastructure
KNOWN = ("mode", "harness_version")
CONFIGURED = ("max_steps", "params", "throughput_mode", "paced")  # as told in ``config``
# Of the last attempt at every episode, as vla-eval's own export takes it.
EPISODES = """
    SELECT task_name, episode_id, metrics, failure_reason, failure_detail FROM episode_results
    WHERE eval_id = ? AND rowid IN (
        SELECT MAX(rowid) FROM episode_results GROUP BY eval_id, task_name, episode_id,
        json_extract(context, '$.task_idx'))
"""


def is_aggregate(content: object) -> bool:
    """Whether JSON looks like vla-eval's aggregate of a benchmark."""
    return isinstance(content, dict) and {"benchmark", "tasks"} <= content.keys()


def read_aggregate(path: Path, content: Mapping[str, Any]) -> Source:
    """``NAME_aggregate.json`` of vla-eval (schema of 0.8): a policy on one benchmark.

    Raises UserError if it breaks its format.
    """
    with _readable(path):
        rows = [
            (content["benchmark"], task["task"], episode)
            for task in content["tasks"]
            for episode in task["episodes"]
        ]
        known = {str(content["benchmark"]): _conditions(content)}
        return _source(path, rows, known)


def read_recording(path: Path) -> Source:
    """``recording-ID.sqlite`` of vla-eval (schema of 0.8): a policy on its benchmarks.

    Raises UserError if it is no such recording.
    """
    with _readable(path), contextlib.closing(_opened(path)) as connection:
        rows: list[tuple[str, str, Mapping[str, Any]]] = []
        known = {}
        for evaluation, text in connection.execute("SELECT eval_id, metadata FROM eval_metadata"):
            told = json.loads(text)
            benchmark = str(told["benchmark"])
            known[benchmark] = _conditions(told)
            for task, number, metrics, reason, detail in connection.execute(EPISODES, [evaluation]):
                episode = {
                    "episode_id": number,
                    "metrics": json.loads(metrics or "{}"),
                    "failure_reason": reason,
                    "failure_detail": detail,
                }
                rows.append((benchmark, task, episode))
        return _source(path, rows, known)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, sqlite3.Error) as error:
        raise UserError(
            f"{str(path)!r} is no result of vla-eval that can be read ({one_line(error)}); "
            "write it again with 'vla-eval export'"
        ) from None


def _source(
    path: Path,
    rows: list[tuple[str, str, Mapping[str, Any]]],
    known: Mapping[str, Mapping[str, Any]],
) -> Source:
    cells: dict[Named, bool] = {}
    faults: dict[Named, str] = {}
    lost: dict[Named, str] = {}
    for benchmark, task, episode in rows:
        place = str(benchmark), str(task or UNNAMED), str(episode["episode_id"])
        if place in cells or place in lost:
            raise Unreadable(f"episode {place[2]} of task {place[1]!r} is told twice")
        reason = episode.get("failure_reason")
        told = f"{reason}: {episode.get('failure_detail') or 'no more is told'}"
        if reason and reason != POLICY_FAULT:
            lost[place] = told
            continue
        cells[place] = not reason and truth(episode["metrics"]["success"])
        if reason:
            faults[place] = told
    if not cells:
        raise UserError(f"{str(path)!r} holds no finished episode; let the evaluation end")
    fingerprint = {f"vla-eval:{name}": conditions for name, conditions in known.items()}
    passport = Passport(protocol={}, fingerprint=fingerprint, info={})
    label = path.stem.removesuffix("_aggregate")
    return Source.of_names(label, cells, passport, faults, lost)


def _conditions(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What decides a score and is told: how it was run, and with what parameters."""
    config = told.get("config") or {}
    found = {name: told.get(name) for name in KNOWN}
    return found | {name: config.get(name) for name in CONFIGURED}
