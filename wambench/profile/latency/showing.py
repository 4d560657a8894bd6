"""What a policy is shown call after call: observations in turn, instructions new or the same."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from wambench.contract import EpisodeStart, Observation, PolicySpec
from wambench.profile.acting import ANY_ACTION
from wambench.profile.latency.protocol import LatencyProtocol, Text
from wambench.profile.latency.records import Inputs
from wambench.profile.observations import INSTRUCTION, observations


class Show:
    """An endless source of observations for one policy.

    A cold instruction holds the reference instruction's words in another order: it is new to the
    policy, and as long.
    """

    def __init__(self, spec: PolicySpec, rules: LatencyProtocol, seed: int = 0) -> None:
        self._spec = spec
        self._seen: Sequence[Observation] = observations(
            spec, rules.distinct_observations, rules.observation_seed
        )
        self._random = random.Random(seed)
        self._told = {INSTRUCTION}
        self._calls = 0

    def next(self, text: Text) -> Observation:
        """The next observation, with an instruction that is new (cold) or the same (warm)."""
        shown = self._seen[self._calls % len(self._seen)]
        self._calls += 1
        if text == "warm":
            return shown
        return dataclasses.replace(shown, instruction=self._new_instruction())

    def start(self) -> EpisodeStart:
        """The episode that all observations belong to."""
        return EpisodeStart(
            episode=self._seen[0].episode,
            suite="profile",
            task="profile",
            instruction=INSTRUCTION,
            init_state=0,
            action=self._spec.action or ANY_ACTION,
            noise_seed=self._seen[0].noise_seed,
        )

    def inputs(self) -> Inputs:
        """What was shown."""
        pictures = [image for seen in self._seen for image in seen.images.values()]
        contents = {_content(seen) for seen in self._seen}
        return Inputs(
            instruction=INSTRUCTION,
            distinct=len(contents),
            flat=sum(int(image.min() == image.max()) for image in pictures),
            cameras={
                camera: (image.shape[0], image.shape[1])
                for camera, image in self._seen[0].images.items()
            },
        )

    def _new_instruction(self) -> str:
        words = INSTRUCTION.split()
        while True:
            self._random.shuffle(words)
            told = " ".join(words)
            if told not in self._told:
                self._told.add(told)
                return told


def _content(seen: Observation) -> tuple[object, ...]:
    """What sets an observation apart; for a policy that looks at nothing, its noise."""
    arrays: list[NDArray[Any]] = [*seen.images.values(), *seen.proprio.values()]
    arrays += seen.privileged.values()
    return tuple(array.tobytes() for array in arrays) or (seen.noise_seed,)
