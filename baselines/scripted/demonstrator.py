"""The expert with disturbances: demonstrations of what to do off the expert's own path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from baselines.scripted.expert import ExpertPolicy
from wambench import EpisodeStart, Observation, UserError


class DemonstratorPolicy(ExpertPolicy):
    """Executes the expert's action plus noise on all dimensions but the last (the gripper).

    Independent noise at each step covers the neighbourhood of the path. Bursts of one constant
    offset push the arm off it, by up to a few centimetres, so that the expert's way back is in the
    data. What is executed is not what should be learned: the labels are the expert's own actions,
    which ``wambench demos`` computes again.

    Args:
        noise_std: standard deviation of the noise, as a share of the actions' range.
        burst_share: probability in [0, 1] that a block of ``BURST_STEPS`` steps is a burst.
        burst_size: largest offset of a burst, as a share of the actions' range.
    """

    BURST_STEPS = 6
    spec = ExpertPolicy.spec.model_copy(
        update={"about": "the expert with small noise and bursts of offset, for demonstrations"}
    )

    def __init__(
        self, noise_std: float = 0.03, burst_share: float = 0.1, burst_size: float = 0.35
    ) -> None:
        for name, value in (
            ("noise_std", noise_std),
            ("burst_share", burst_share),
            ("burst_size", burst_size),
        ):
            if not 0 <= value <= 1:
                raise UserError(f"demonstrator: {name}={value} is not a share; use 0 to 1")
        self._noise_std, self._burst_share, self._burst_size = noise_std, burst_share, burst_size
        self._starts: dict[str, EpisodeStart] = {}

    def reset(self, start: EpisodeStart) -> None:
        """Note the episode's noise seed and range of actions."""
        self._starts[start.episode] = start

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """The expert's action, disturbed and clipped, [1, A] each."""
        return [
            self._disturbed(seen, chunk)
            for seen, chunk in zip(observations, super().act(observations), strict=True)
        ]

    def forget(self, episode: str) -> None:
        """Drop what was noted."""
        self._starts.pop(episode, None)

    def _disturbed(self, seen: Observation, chunk: NDArray[np.floating]) -> NDArray[np.float64]:
        start = self._starts[seen.episode]
        low, high = start.action.low, start.action.high
        dim = start.action.dim - 1
        offset = self._noise_std * np.random.default_rng(seen.noise_seed).normal(size=dim)
        burst = np.random.default_rng([start.noise_seed, seen.step // self.BURST_STEPS])
        if burst.random() < self._burst_share:
            offset += burst.uniform(-self._burst_size, self._burst_size, dim)
        return np.clip(chunk + (high - low) * np.append(offset, 0.0), low, high)
