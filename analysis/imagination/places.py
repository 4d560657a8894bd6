"""How rows of a study name their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from analysis.imagination.moments import Moment

EPISODE = ["suite", "task_index", "init_state", "seed"]
WHAT = ["policy", "prediction", "truth", "offset", "camera", "region"]


def placed(
    rows: Iterable[dict[str, Any]],
    label: str,
    moment: Moment,
    cameras: Sequence[str],
    offsets: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """Rows of a moment with where they are from, in place of numbers of camera and frame."""
    cell = moment.episode.cell
    place = {
        "policy": label,
        "suite": cell.suite,
        "task_index": cell.task_index,
        "init_state": cell.init_state,
        "seed": cell.seed,
        "outcome": moment.episode.outcome,
        "step": moment.step,
    }
    for row in rows:
        where = {
            "camera": cameras[row.pop("camera_index")],
            "offset": offsets[row.pop("frame")],
        }
        yield place | where | row
