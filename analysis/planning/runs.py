"""What a run tells of the episodes to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from analysis.pairing import Asked, asked_of, common
from analysis.planning.questions import Design
from wambench.errors import UserError
from wambench.store import Store, outcomes_frame, spent


@dataclass(frozen=True)
class Pace:
    """How fast a policy's episodes went; wall seconds of one worker, opening of tasks excluded."""

    policy: str
    episodes: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """What a run tells of the episodes to come: paces, and pair of policies -> correlation."""

    paces: Sequence[Pace]
    correlations: Mapping[str, float]


def read(folder: Path) -> Run:
    """Read paces and correlations of a run; UserError where no episode has finished."""
    with Store.read(folder) as store:
        seconds: dict[str, list[float]] = {}
        for one in spent(store):
            if one.seconds:
                seconds.setdefault(one.policy, []).append(one.seconds["total"])
        asked = asked_of(outcomes_frame(store))
    if not seconds:
        raise UserError(
            f"{str(folder)!r} holds no finished episode to take timings from; "
            "name another run or leave --run out"
        )
    paces = [Pace(policy, len(each), sum(each) / len(each)) for policy, each in seconds.items()]
    return Run(paces, correlations(asked))


def correlations(asked: Asked) -> Mapping[str, float]:
    """Pair of policies -> correlation of their outcomes, where both sometimes fail; at least 0."""
    found = {}
    for first, second in combinations(asked, 2):
        tasks = [task for suite in common(asked[first], asked[second]) for task in suite]
        pairs = np.concatenate(tasks) if tasks else np.empty((0, 2))
        if len(pairs) > 1 and np.ptp(pairs.astype(int), axis=0).all():
            found[f"{first} and {second}"] = max(0.0, float(np.corrcoef(pairs.T)[0, 1]))
    return found


def hours(pace: Pace, design: Design, workers: int) -> float:
    """Wall hours of one policy's episodes."""
    return pace.seconds * design.episodes / 3600 / workers
