"""The policy behind a server: loaded once, asked off the event loop, in batches."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench import plugins
from wambench.cells import PolicyChoice, digest_of
from wambench.contract import EpisodeStart, Observation, checked_chunk
from wambench.errors import InfrastructureFailure, PolicyFault, UserError
from wambench.policy import Policy
from wambench.policy_server import PolicyActor
from wambench.wire.presets import WirePreset
from wambench.wire.reading import observation


class Host:
    """A policy under a preset; what it raises is a PolicyFault or an InfrastructureFailure."""

    def __init__(self, name: str, options: Mapping[str, Any], preset: WirePreset) -> None:
        """UserError for a policy that cannot be served so."""
        policy = plugins.make_policy(name, options)
        self.name, self.spec, self.preset = name, policy.spec, preset
        if problems := preset.problems(policy.spec):
            raise UserError(f"policy {name!r} cannot be served: it {'; it '.join(problems)}")
        self.may_remember = type(policy).reset is not Policy.reset
        self.identity = digest_of(PolicyChoice(name, name, options).identity(policy))
        self._actor = PolicyActor(name, options)
        self._numbers = itertools.count()

    async def load(self) -> None:
        """Load the policy."""
        await self._actor.ready()

    def about(self) -> Mapping[str, Any]:
        """What a server may say of the policy; peers that do not know it leave it be."""
        return {
            "version": metadata.version("wambench"),
            "policy": self.name,
            "identity": self.identity,
            "spec": self.spec.model_dump(mode="json"),
            "preset": self.preset.model_dump(mode="json"),
        }

    def new_episode(self) -> str:
        """A name that no other episode has."""
        return f"wire-{next(self._numbers)}"

    def seen(self, request: Any, episode: str, step: int, noise: int) -> Observation:
        """A request as what the policy is shown; WireError if it is unfit."""
        return observation(request, self.preset, self.spec, episode, step, noise)

    async def begin(self, start: EpisodeStart) -> None:
        """Tell the policy of an episode; one that it does not take is forgotten."""
        try:
            (await self._actor.reset(start)).unwrap()
        except (PolicyFault, InfrastructureFailure):
            await self._actor.forget(start.episode)
            raise

    async def act(self, seen: Observation) -> NDArray[np.float64]:
        """Its chunk [1..horizon, dim], clipped to the action's range."""
        chunk = (await self._actor.act(seen)).unwrap()
        return checked_chunk(chunk, self.preset.action, self.spec.horizon)

    async def forget(self, episode: str) -> None:
        """End an episode."""
        await self._actor.forget(episode)
