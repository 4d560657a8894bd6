"""Policies that must lose. If one of them wins, the benchmark is broken, not the policy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from baselines.scripted.expert import ExpertPolicy
from wambench import ActionSpec, EpisodeStart, Observation, Policy, PolicySpec


class _Adaptive(Policy):
    """Remembers each episode's action spec, so that it runs on any suite."""

    def __init__(self) -> None:
        self._actions: dict[str, ActionSpec] = {}

    def reset(self, start: EpisodeStart) -> None:
        """Note the action spec."""
        self._actions[start.episode] = start.action

    def forget(self, episode: str) -> None:
        """Drop the action spec."""
        self._actions.pop(episode, None)


class RandomPolicy(_Adaptive):
    """Uniformly random actions."""

    spec = PolicySpec(
        paradigm="scripted", track="scripted", about="uniformly random actions", horizon=16
    )

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """Random chunks [16, A]."""
        out = []
        for seen in observations:
            action = self._actions[seen.episode]
            generator = np.random.default_rng(seen.noise_seed)
            shape = (self.spec.horizon, action.dim)
            out.append(generator.uniform(action.low, action.high, shape))
        return out


class FrozenPolicy(_Adaptive):
    """Never moves: what a dead connection to the robot looks like."""

    spec = PolicySpec(
        paradigm="scripted", track="scripted", about="never moves; zeros for ever", horizon=16
    )

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """Zero chunks [16, A]."""
        return [
            np.zeros((self.spec.horizon, self._actions[seen.episode].dim)) for seen in observations
        ]


class WrongGripperPolicy(ExpertPolicy):
    """The expert with the gripper's sign flipped: the most common convention bug of the field.

    It loses wherever something must be gripped from outside. It can lift a bowl: fingers that go
    in closed and open inside hold it by its walls; and pushing needs no gripper at all.
    """

    spec = ExpertPolicy.spec.model_copy(update={"about": "the expert, its gripper sign flipped"})

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """The expert's action with its last dimension negated, [1, A] each."""
        return [chunk * _flip(chunk, [-1]) for chunk in super().act(observations)]


class MirroredPolicy(ExpertPolicy):
    """The expert as it would act on a mirrored image: sideways motion and its rotations flipped.

    A reflection left to right (world y) negates y of a translation, and x and z of a rotation
    vector where actions have one. It is what a perfect image policy does under the wrong image
    orientation.
    """

    spec = ExpertPolicy.spec.model_copy(
        update={"about": "the expert, acting on the mirror image of the scene"}
    )

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """The expert's action reflected, [1, A] each."""
        out = []
        for chunk in super().act(observations):
            gripper = chunk.shape[1] - 1
            out.append(chunk * _flip(chunk, [number for number in (1, 3, 5) if number < gripper]))
        return out


def _flip(chunk: NDArray[np.floating], dimensions: list[int]) -> NDArray[np.float64]:
    signs = np.ones(chunk.shape[1])
    signs[dimensions] = -1.0
    return signs
