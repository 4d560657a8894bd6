"""The scripted expert, and the expert with a part of its actions replaced by noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wambench import EpisodeStart, Observation, Policy, PolicySpec, UserError


class ExpertPolicy(Policy):
    """Plays the action the suite's scripted expert would take: an upper bound and a control.

    It sees the simulator's state and no image, so it says what the tasks allow, not what a robot
    could do.
    """

    spec = PolicySpec(
        paradigm="scripted",
        track="scripted",
        about="the suite's scripted expert, from simulator state",
        privileged=("expert_action",),
        horizon=1,
    )

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """One expert action [1, A] each."""
        return [seen.privileged["expert_action"][None] for seen in observations]


class NoisyExpertPolicy(ExpertPolicy):
    """The expert, pushed about by noise in a given share of its time.

    Independent noise per step averages out and a closed-loop expert shrugs it off; so the noise
    comes in bursts of half a second, each holding one uniformly random action, gripper included.

    Args:
        noise: probability in [0, 1] that a block of ``BURST_STEPS`` steps is noise.
    """

    BURST_STEPS = 10
    spec = ExpertPolicy.spec.model_copy(
        update={"about": "the expert, 10 % of its time replaced by bursts of random action"}
    )

    def __init__(self, noise: float = 0.1) -> None:
        if not 0 <= noise <= 1:
            raise UserError(f"noisy-expert: noise={noise} is not a probability; use 0 to 1")
        self._noise = noise
        self._starts: dict[str, EpisodeStart] = {}

    def reset(self, start: EpisodeStart) -> None:
        """Note the episode's noise seed and range of actions."""
        self._starts[start.episode] = start

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """The expert's action or noise, [1, A] each."""
        chunks = []
        for seen, chunk in zip(observations, super().act(observations), strict=True):
            start = self._starts[seen.episode]
            block = seen.step // self.BURST_STEPS
            generator = np.random.default_rng([start.noise_seed, block])
            noise = generator.uniform(start.action.low, start.action.high, chunk.shape)
            chunks.append(noise if generator.random() < self._noise else chunk)
        return chunks

    def forget(self, episode: str) -> None:
        """Drop what was noted."""
        self._starts.pop(episode, None)
