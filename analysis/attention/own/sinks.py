"""Image tokens that are read whatever they show: attention sinks.

Many transformers park attention on a few tokens that carry nothing (Xiao et al. 2024,
arXiv:2309.17453; Darcet et al. 2024, arXiv:2309.16588, for image tokens). A map is then about them
more than about the scene, so every score is told with and without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.attention.compare import EPISODE
from analysis.attention.own.looks import Look, Token

FOLD = 2.0
"""A sink gets at least so many times the share of an even map …"""
BUT_FOR = 0.05
"""… in all moments but this share of them, every episode counting once."""
STARTS = 5
"""Fewer different beginnings (suite, task, initial state) show too little to name one."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sink:
    """One token; all shares are over that of an even map.

    Attributes:
        lowest: the share that all moments but ``BUT_FOR`` of them reach.
        mean: over moments, every episode counting once.
        bare: mean where all cameras are painted over in one colour each: a token that stays high
            there is not read for what it shows. NaN: nobody asked.
    """

    camera: str
    row: int
    column: int
    lowest: float
    mean: float
    bare: float

    @property
    def token(self) -> Token:
        """Camera, row, column."""
        return self.camera, self.row, self.column


@dataclass(frozen=True)
class Sinks:
    """Of one policy; ``why_not``: why none can be named, else empty."""

    found: Sequence[Sink]
    why_not: str = ""


def sinks(looks: Sequence[Look], bare: Sequence[Mapping[str, Floats]] = ()) -> Sinks:
    """Name the sinks of one policy.

    Args:
        looks: all of its moments.
        bare: camera -> [R, C], attention where nothing is to be seen, of some moments.
    """
    starts = {(o["suite"], o["task_index"], o["init_state"]) for o in (one.place for one in looks)}
    if len(starts) < STARTS:
        plural = "" if len(starts) == 1 else "s"
        why = f"{len(starts)} different beginning{plural}; {STARTS} are needed to name a sink"
        return Sinks((), why)
    folds = np.stack([_folds(one.weights) for one in looks])
    episodes = [tuple(one.place[name] for name in EPISODE) for one in looks]
    long = Counter(episodes)
    once = np.array([1 / long[episode] for episode in episodes])
    lowest = _quantile(folds, once / once.sum(), BUT_FOR)
    mean = np.average(folds, axis=0, weights=once)
    empty = np.mean([_folds(one) for one in bare], axis=0) if bare else np.full(mean.shape, np.nan)
    places = [(c, *at) for c, w in looks[0].weights.items() for at in np.ndindex(w.shape)]
    return Sinks(
        [
            Sink(*place, *map(float, numbers))
            for place, *numbers in zip(places, lowest, mean, empty, strict=True)
            if numbers[0] >= FOLD
        ]
    )


def _folds(weights: Mapping[str, Floats]) -> Floats:
    """Share of every image token over that of an even map, all cameras one after the other."""
    every = np.concatenate([w.ravel() for w in weights.values()])
    return every / (every.mean() or 1.0)


def _quantile(values: Floats, weights: Floats, share: float) -> Floats:
    """The smallest of [n, columns] below or at which there is more than a share of the weight."""
    order = np.argsort(values, axis=0, kind="stable")
    reached = np.cumsum(weights[order], axis=0) > share + 1e-12
    return np.take_along_axis(values, order, axis=0)[reached.argmax(axis=0), range(order.shape[1])]
