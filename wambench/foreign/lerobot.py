"""What lerobot-eval writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wambench.errors import UserError
from wambench.foreign.places import UNNAMED, Named
from wambench.foreign.source import Source
from wambench.foreign.values import truth


def is_lerobot(content: object) -> bool:
    """Whether JSON looks like an eval_info.json."""
    return isinstance(content, dict) and bool(content.keys() & {"per_episode", "per_task"})


def read_lerobot(path: Path, content: Mapping[str, Any]) -> Source:
    """``eval_info.json`` of lerobot-eval: ``per_episode`` of one task, or ``per_task`` of many.

    Schemas of lerobot 0.1 to 0.3 and of 0.4. An episode is named by its number within the task, and
    by its seed where that is told.
    """
    cells: dict[Named, bool] = {}
    try:
        for row in content.get("per_episode", ()):
            name = str(row["episode_ix"]), str(row.get("seed"))
            cells[UNNAMED, UNNAMED, "/".join(name)] = truth(row["success"])
        for task in content.get("per_task", ()):
            for number, success in enumerate(task["metrics"]["successes"]):
                place = str(task["task_group"]), str(task["task_id"]), str(number)
                cells[place] = truth(success)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{str(path)!r}: an episode has no readable success ({type(error).__name__}: {error}); "
            "write it again with lerobot-eval"
        ) from None
    if not cells:
        raise UserError(f"{str(path)!r} holds no episode; let the evaluation end")
    told = content.get("overall", content.get("aggregated", {}))
    _agrees(path, cells, told if isinstance(told, dict) else {})
    return Source.of_names(path.parent.name or path.stem, cells)


def _agrees(path: Path, cells: Mapping[Named, bool], told: Mapping[str, Any]) -> None:
    """Refuse a file whose own sums are not those of its episodes."""
    share = 100 * sum(cells.values()) / len(cells)
    count, per_cent = told.get("n_episodes", len(cells)), told.get("pc_success", share)
    if count != len(cells) or abs(per_cent - share) > 0.01:
        raise UserError(
            f"{str(path)!r} says {per_cent:g} % of {count} episodes and lists {share:g} % of "
            f"{len(cells)}; write it again"
        )
