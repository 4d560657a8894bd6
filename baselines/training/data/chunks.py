"""Samples for training: what is seen now, the actions from here on, the frames that will be seen.

Which samples make up batch number n is computed from (seed, n) alone, so a training that goes on
after a kill sees exactly the batches it would have seen.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.training.data.episodes import Episode
from wambench import UserError

Batch = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Chunks:
    """Every step of every episode that has a frame as a sample.

    Past the end of an episode a chunk goes on with no motion and the last gripper command, and
    frames repeat the last one; the masks say where (the reference's rule: its delta dimensions are
    the first six).

    Attributes:
        episodes: what to sample from.
        instructions: all instructions of the data; a sample holds the number of its own.
        cameras: in the order in which a sample stacks them.
        horizon: H, actions of a chunk.
        future: K, frames after the present one, evenly spaced, the last at t + H. 0: none;
            1: the goal image of ImageWAM; more: the clip of a video WAM. Divides H.
        batch_size: B.
        seed: of the order. None: as they come, one epoch after another.
    """

    episodes: Sequence[Episode]
    instructions: Sequence[str]
    cameras: Sequence[str]
    horizon: int
    future: int = 0
    batch_size: int = 16
    seed: int | None = 0

    def __post_init__(self) -> None:
        if self.future and self.horizon % self.future:
            raise ValueError(f"{self.future} frames are not evenly spaced in {self.horizon} steps")
        if not self.episodes:
            raise ValueError("no episodes to sample from")
        for episode in self.episodes:
            if self.future and self._apart % episode.every:
                raise UserError(
                    f"{episode.source}: has frames of every {episode.every} steps, none "
                    f"{self._apart} steps ahead; draw them with a --draw-every that divides that"
                )

    def __len__(self) -> int:
        """Number of samples."""
        return int(self._ends[-1])

    def batch(self, number: int) -> Batch:
        """Batch ``number`` (0, 1, …) of B samples, each sample once per epoch; see :meth:`at`."""
        first = number * self.batch_size
        places = np.arange(first, first + self.batch_size)
        epochs, places = np.divmod(places, len(self))
        return self.at([self._order(int(e))[p] for e, p in zip(epochs, places, strict=True)])

    def at(self, samples: Sequence[int] | NDArray[np.integer]) -> Batch:
        """Samples by number, 0 <= number < len(self).

        Returns:
            * ``images`` uint8 [B, cameras, h, w, 3] at step t
            * ``state`` float32 [B, 8] at step t
            * ``instruction`` int64 [B], index in ``instructions``
            * ``actions`` float32 [B, H, 7], labels of steps t to t + H - 1
            * ``action_is_pad`` bool [B, H]
            * ``future`` uint8 [B, K, cameras, h, w, 3] and ``future_is_pad`` bool [B, K]
            * ``episode``, ``step`` int64 [B], of ``episodes``
        """
        numbers = np.asarray(samples, np.int64)
        which = np.searchsorted(self._ends, numbers, side="right")
        chosen = [self.episodes[index] for index in which]
        shots = numbers - np.concatenate([[0], self._ends])[which]
        steps = shots * np.array([episode.every for episode in chosen])
        lengths = np.array([len(episode) for episode in chosen])[:, None]

        action_steps = steps[:, None] + np.arange(self.horizon)
        action_is_pad = action_steps >= lengths
        action_steps = np.minimum(action_steps, lengths - 1)
        actions = np.stack([e.labels[s] for e, s in zip(chosen, action_steps, strict=True)])
        actions[..., :-1][action_is_pad] = 0

        future_steps = steps[:, None] + self._ahead
        future_is_pad = future_steps >= lengths
        frames = self._frames(chosen, np.column_stack([steps, future_steps]))
        return {
            "images": frames[:, 0],
            "state": np.stack([e.state[s] for e, s in zip(chosen, steps, strict=True)]),
            "instruction": np.array([self._numbers[e.instruction] for e in chosen], np.int64),
            "actions": actions,
            "action_is_pad": action_is_pad,
            "future": frames[:, 1:],
            "future_is_pad": future_is_pad,
            "episode": which,
            "step": steps,
        }

    def _frames(self, chosen: Sequence[Episode], steps: NDArray[np.int64]) -> np.ndarray:
        """Uint8 [B, n, cameras, h, w, 3] of episodes at steps [B, n]; past the last frame, that."""
        shape = chosen[0].images[self.cameras[0]].shape[1:]
        out = np.empty((*steps.shape, len(self.cameras), *shape), np.uint8)
        for row, episode in enumerate(chosen):
            shots = np.minimum(steps[row] // episode.every, episode.shots - 1)
            for column, camera in enumerate(self.cameras):
                out[row, :, column] = episode.images[camera][shots]
        return out

    @functools.cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([episode.shots for episode in self.episodes], dtype=np.int64)

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {instruction: number for number, instruction in enumerate(self.instructions)}

    @functools.cached_property
    def _ahead(self) -> NDArray[np.int64]:
        """Steps [K] from the present frame to each future one."""
        return np.arange(1, self.future + 1, dtype=np.int64) * self._apart

    @property
    def _apart(self) -> int:
        """Control steps from one frame of a sample to the next; 0 without a future."""
        return self.horizon // self.future if self.future else 0

    @functools.cached_property
    def _orders(self) -> dict[int, NDArray[np.int64]]:
        return {}

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The samples of an epoch in their order; the last two epochs asked for are kept."""
        if self.seed is None:
            epoch = 0
        if epoch not in self._orders:
            order = np.arange(len(self), dtype=np.int64)
            if self.seed is not None:
                order = np.random.default_rng([self.seed, epoch]).permutation(order)
            while len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            self._orders[epoch] = order
        return self._orders[epoch]
