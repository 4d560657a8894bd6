"""Statistics of training data: computed, written, and told from those of other data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baselines.core.checkpoints.statistics import FIELDS, FLAT, Spread, Statistics
from baselines.training.data.dataset import Demonstrations
from baselines.training.data.episodes import Episode
from wambench import UserError

TOLERANCE = 1e-3  # of a dimension's range; recomputing on another machine moves far less


def training_statistics(episodes: Sequence[Episode]) -> Statistics:
    """Spread of states and labels over all steps of some episodes, usually ``demos.train``.

    The standard deviation is the population's; quantiles are interpolated linearly.
    """
    return Statistics(
        state=_spread(np.concatenate([episode.state for episode in episodes])),
        action=_spread(np.concatenate([episode.labels for episode in episodes])),
    )


def as_json(statistics: Statistics, **more: Any) -> dict[str, Any]:
    """Content of a ``dataset_stats.json``, as ``read_statistics`` takes it.

    Args:
        statistics: to write.
        more: what else the file is to say, such as ``data_hash``.
    """

    def group(spread: Spread) -> Mapping[str, Any]:
        fields = {f"global_{name}": getattr(spread, name).tolist() for name in FIELDS}
        return {"default": fields}

    return {"state": group(statistics.state), "action": group(statistics.action), **more}


def write_statistics(path: Path, demos: Demonstrations) -> Statistics:
    """Write and return the statistics of the training split; the file has the data's hash too."""
    statistics = training_statistics(demos.train)
    content = as_json(
        statistics,
        data_hash=demos.data_hash,
        episodes=len(demos.train),
        steps=sum(map(len, demos.train)),
    )
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return statistics


def check_statistics(given: Statistics, demos: Demonstrations, source: str) -> None:
    """Raise UserError if statistics are not those of the training split.

    Args:
        given: to be judged.
        demos: the data.
        source: of the statistics, for the message.
    """
    own = training_statistics(demos.train)
    for what, ours, theirs in (
        ("state", own.state, given.state),
        ("action", own.action, given.action),
    ):
        if theirs.dims != ours.dims:
            found = f"{what} has {theirs.dims} dimensions, the data have {ours.dims}"
            raise _foreign(source, found)
        allowed = TOLERANCE * np.maximum(ours.max - ours.min, FLAT)
        for field in FIELDS:
            mine, other = getattr(ours, field), getattr(theirs, field)
            differs = np.flatnonzero(np.abs(mine - other) > allowed)
            if len(differs):
                dim = differs[0]
                found = f"{field} of {what} {dim} is {other[dim]:.4g}, of the data {mine[dim]:.4g}"
                raise _foreign(source, found)


def check_hash(given: str, demos: Demonstrations, source: str) -> None:
    """Raise UserError if ``given`` is not the data's hash; ``source`` says what it was part of."""
    if given != demos.data_hash:
        raise _foreign(source, f"its data hash is {given}, here it is {demos.data_hash}")


def _foreign(source: str, found: str) -> UserError:
    remedy = "name the data it was made from, or start anew"
    return UserError(f"{source} belongs to other data: {found}; {remedy}")


def _spread(values: np.ndarray) -> Spread:
    x = values.astype(np.float64)
    low, high = np.quantile(x, (0.01, 0.99), axis=0)
    return Spread(
        min=x.min(axis=0),
        max=x.max(axis=0),
        mean=x.mean(axis=0),
        std=x.std(axis=0),
        q01=low,
        q99=high,
    )
