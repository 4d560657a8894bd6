"""What lerobot-eval writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.judging.source import Place, Source
from wambench.errors import UserError


def read_lerobot(path: Path) -> Source:
    """``eval_info.json`` of lerobot-eval: ``per_episode`` of one task, or ``per_task`` of many.

    Schemas of lerobot 0.1 to 0.3 and of 0.4. An episode is named by its number within the task, and
    by its seed where that is told.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeError) as error:
        raise UserError(f"{str(path)!r} is no JSON ({error}); write it again") from None
    if not isinstance(content, dict) or not content.keys() & {"per_episode", "per_task"}:
        raise UserError(
            f"{str(path)!r} has neither per_episode nor per_task, so it is no eval_info.json of "
            "lerobot; write other results as a table with a row per episode"
        )
    cells: dict[Place, bool] = {}
    try:
        for row in content.get("per_episode", ()):
            name = str(row["episode_ix"]), str(row.get("seed"))
            cells["", "", "/".join(name)] = _truth(row["success"])
        for task in content.get("per_task", ()):
            for number, success in enumerate(task["metrics"]["successes"]):
                place = str(task["task_group"]), str(task["task_id"]), str(number)
                cells[place] = _truth(success)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{str(path)!r}: an episode has no readable success ({type(error).__name__}: {error}); "
            "write it again with lerobot-eval"
        ) from None
    if not cells:
        raise UserError(f"{str(path)!r} holds no episode; let the evaluation end")
    told = content.get("overall", content.get("aggregated", {}))
    _agrees(path, cells, told if isinstance(told, dict) else {})
    return Source.of_cells(path.parent.name or path.stem, cells)


def _agrees(path: Path, cells: Mapping[Place, bool], told: Mapping[str, Any]) -> None:
    """Refuse a file whose own sums are not those of its episodes."""
    share = 100 * sum(cells.values()) / len(cells)
    count, per_cent = told.get("n_episodes", len(cells)), told.get("pc_success", share)
    if count != len(cells) or abs(per_cent - share) > 0.01:
        raise UserError(
            f"{str(path)!r} says {per_cent:g} % of {count} episodes and lists {share:g} % of "
            f"{len(cells)}; write it again"
        )


def _truth(value: object) -> bool:
    if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
        return bool(value)
    raise ValueError(f"success is {value!r}")
