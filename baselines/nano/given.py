"""Which future is given to an action in the place of its own, decision by decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.core.flow import seeded_noise
from baselines.core.inputs import signed
from baselines.core.robots import LIBERO
from baselines.nano.config import SIDE
from baselines.nano.interventions import Interventions
from baselines.nano.models.base import NanoModel
from baselines.nano.models.futures import futures_of
from wambench import Observation, UserError
from wambench.cells import digest_of
from wambench.inference import Program


@dataclass(frozen=True)
class Bank:
    """Futures of other episodes, as the policy sees frames.

    Attributes:
        frames: uint8 [N, K, cameras, side, side, 3]; the file may hold more offsets than K.
        step: [N], control step of the moment whose future it is.
        episode: [N], which episode it is of.
        instruction: [N], what that episode was told.
    """

    frames: NDArray[np.uint8]
    step: NDArray[np.int64]
    episode: NDArray[np.int64]
    instruction: NDArray[np.str_]

    @classmethod
    def read(cls, path: Path, offsets: Sequence[int]) -> Bank:
        """Read what ``wambench imagine`` wrote; UserError for a file that does not fit."""
        try:
            with np.load(path) as file:
                bank = cls(*(file[name] for name in ("frames", "step", "episode", "instruction")))
                ahead = tuple(file["offsets"].tolist())
                cameras = tuple(file["cameras"].tolist())
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{str(path)!r} holds no futures ({error}); name one that 'wambench imagine' wrote"
            ) from None
        fits = cameras == LIBERO.cameras and bank.frames.shape[2:] == (len(cameras), SIDE, SIDE, 3)
        if not fits or not set(offsets) <= set(ahead) or not len(bank.frames):
            raise UserError(
                f"{str(path)!r} holds frames {bank.frames.shape} of {', '.join(cameras)} so many "
                f"steps ahead: {ahead}; this policy reads {SIDE} px frames of "
                f"{', '.join(LIBERO.cameras)} {tuple(offsets)} steps ahead"
            )
        chosen = bank.frames[:, [ahead.index(offset) for offset in offsets]]
        bank = replace(bank, frames=chosen)
        if len(np.unique(bank.instruction)) < 2:
            raise UserError(
                f"{str(path)!r} holds futures of one instruction alone, none of which is another "
                "episode's there; name one of several tasks"
            )
        return bank

    def other(self, seen: Observation) -> NDArray[np.uint8]:
        """Frames [K, cameras, side, side, 3] of an episode that was told something else.

        The episode depends on the cell alone, the moment on the step: the last one that is not
        later, or the first.
        """
        strange = np.unique(self.episode[self.instruction != seen.instruction])
        draw = int(digest_of(["another future", seen.episode])[:8], 16)
        rows = np.flatnonzero(self.episode == strange[draw % len(strange)])
        rows = rows[np.argsort(self.step[rows], kind="stable")]
        place = int(np.searchsorted(self.step[rows], seen.step, side="right")) - 1
        return self.frames[int(rows[max(place, 0)])]


class Giver:
    """Gives futures; its memory is of single episodes (frozen), one future each."""

    def __init__(
        self, model: NanoModel, chosen: Interventions, offsets: Sequence[int], device: torch.device
    ) -> None:
        self._chosen, self._futures = chosen.future, futures_of(model)
        self._count, self._device = len(offsets), device
        self._bank = None if chosen.futures is None else Bank.read(chosen.futures, offsets)
        self._first: dict[str, Tensor] = {}

    def program(self) -> Program[Any]:
        """The model's, in which another future stands."""
        masks = self._chosen == "masked"
        return self._futures.masked() if masks else self._futures.replaced()

    def __call__(
        self, observations: Sequence[Observation], images: Tensor, seeds: Sequence[int]
    ) -> Tensor | None:
        """What stands in the future's place; None: the model's own.

        Args:
            observations: a batch.
            images: [B, cameras, 3, side, side] in [-1, 1], what the model sees of them.
            seeds: of noise, one each.
        """
        if self._chosen == "present":
            return self._futures.encoded(images[:, None].expand(-1, self._count, -1, -1, -1, -1))
        if self._chosen == "noise":
            own = [int(digest_of(["noise for a future", seed])[:16], 16) >> 1 for seed in seeds]
            shape = (1, *self._futures.shape())
            return torch.cat([seeded_noise(seed, shape) for seed in own]).to(images)
        if self._chosen == "other":
            assert self._bank is not None  # checked with the options
            return self._encoded([self._bank.other(seen) for seen in observations], images)
        if self._chosen == "oracle":
            frames = [[seen.foreseen[c] for c in LIBERO.cameras] for seen in observations]
            return self._encoded([np.stack(one, axis=1) for one in frames], images)
        kept = [self._first.get(seen.episode) for seen in observations]
        known = [one for one in kept if one is not None]
        if known and len(known) < len(kept):
            raise ValueError("first and later decisions in one batch: a frozen future is of one")
        return torch.cat(known) if known else None

    def _encoded(self, frames: Sequence[NDArray[np.uint8]], like: Tensor) -> Tensor:
        """As a future: of each sample [K, cameras, side, side, 3]."""
        pixels = torch.from_numpy(np.stack(frames)).to(self._device).movedim(-1, -3)
        return self._futures.encoded(signed(pixels, like.dtype))

    def remember(self, episode: str, state: Any) -> None:
        """Keep the future that an episode's first decision read, if it is to be frozen."""
        if self._chosen == "frozen" and episode not in self._first:
            self._first[episode] = self._futures.read(state).clone()

    def forget(self, episode: str) -> None:
        """Drop an episode's."""
        self._first.pop(episode, None)
