"""A policy whose action depends on one image token and that reads one: planted answers.

It imports nothing of the project but ``wambench``; tests install a copy of this file by entry
point, and use it as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench import Observation, Policy, PolicySpec
from wambench.attention import Attention, Grid, Listen, Reading, Token
from wambench.inference import Inference, Program, Step

GRID = Grid(4, 6)
CAMERA = "agentview"
HORIZON = 8


class Gazer(Policy):
    """``acts_on`` and ``reads``: number of a token, row by row."""

    spec = PolicySpec(
        paradigm="vla", about="a test's", cameras=(CAMERA,), horizon=HORIZON, max_batch=5
    )

    def __init__(self, acts_on: int = 8, reads: int = 8) -> None:
        self.acts_on, self.reads = acts_on, reads
        self._listen: list[Listen] = []

    def act(self, observations: Sequence[Observation]) -> list[NDArray[np.float64]]:
        """A chunk [8, 2] that says how bright the token is."""
        assert len(observations) <= self.spec.max_batch
        return [self._chunk(seen) for seen in observations]

    def _chunk(self, seen: Observation) -> NDArray[np.float64]:
        image = seen.images[CAMERA]
        row, column = divmod(self.acts_on, GRID.columns)
        high, wide = image.shape[0] / GRID.rows, image.shape[1] / GRID.columns
        middle = image[int((row + 0.5) * high), int((column + 0.5) * wide)]
        noise = np.random.default_rng(seen.noise_seed).normal(0, 1e-3)
        return np.tile([float(middle.mean()) / 255 + noise, -1.0], (HORIZON, 1))

    def inference(self, on: Any) -> Inference:
        """One step, which tells what it reads."""
        return Inference(
            program=Program([Step("act", self._told)]),
            state=lambda observations: list(observations),
            components={},
            action=lambda state: self.act(state),
            attention=Attention(
                cameras={CAMERA: GRID}, frames=0, words=str.split, layers=1, heads=1, steps=1,
                actions=HORIZON, parts=("all",), watch=self._watch,
            ),
        )  # fmt: skip

    def _told(self, state: Any) -> None:
        import torch

        count = GRID.rows * GRID.columns
        tokens = [Token("image", CAMERA, 0, *divmod(n, GRID.columns)) for n in range(count)]
        keys = torch.zeros(1, count, 1, 4)
        keys[0, self.reads, 0, 0] = 6.0
        queries = torch.zeros(1, HORIZON, 1, 4)
        queries[..., 0] = 1.0
        for listen in self._listen:
            listen(Reading(0, 0, "all", queries, range(HORIZON), keys, None, tokens))

    @contextlib.contextmanager
    def _watch(self, listen: Listen) -> Iterator[None]:
        self._listen.append(listen)
        yield
        self._listen.remove(listen)
