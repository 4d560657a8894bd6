"""The policy behind a server: loaded once, asked off the event loop, in batches."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from importlib import metadata
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench import plugins
from wambench.cells import PolicyChoice, digest_of
from wambench.contract import EpisodeStart, checked_chunk
from wambench.errors import UserError
from wambench.policy import Policy
from wambench.policy_server import PolicyActor
from wambench.wire.presets import WirePreset
from wambench.wire.reading import observation


class Host:
    """Answers requests with a policy's chunks.

    No episode is seen on such a wire, so noise comes from the question: the answer to the same
    bytes is the same, whoever asked before.
    """

    def __init__(
        self, name: str, options: Mapping[str, Any], preset: WirePreset, *,
        seed: int, per_connection: bool,
    ) -> None:  # fmt: skip
        """``per_connection``: a connection is an episode; UserError if the policy does not fit."""
        policy = plugins.make_policy(name, options)
        self.name, self.spec, self._preset, self._seed = name, policy.spec, preset, seed
        if problems := preset.problems(policy.spec):
            raise UserError(f"policy {name!r} cannot be served: it {'; it '.join(problems)}")
        if type(policy).reset is not Policy.reset and not per_connection:
            raise UserError(
                f"policy {name!r} may keep a memory, and no episode is seen on this wire; add "
                "--episode-per-connection if each has one of its own"
            )
        self.identity = digest_of(PolicyChoice(name, name, options).identity(policy))
        self._per_connection = per_connection
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
            "horizon": self.spec.horizon,
            "image_size": list(self.spec.image_size or ()),
            "preset": self._preset.model_dump(mode="json"),
        }

    def asker(self) -> Asker:
        """For one connection."""
        return Asker(self)


class Asker:
    """One connection's way to the policy."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._episode = ""
        self._step = 0

    async def ask(self, request: Any, message: bytes) -> tuple[NDArray[np.float64], float]:
        """The chunk [H, dim] for a request, and milliseconds until it was there.

        Args:
            request: as decoded.
            message: its bytes, which the noise is made from.

        Raises:
            WireError: the request is unfit.
            PolicyFault, InfrastructureFailure: of the policy.
        """
        host = self._host
        noise = _noise(message, host._seed)
        if not self._episode or not host._per_connection:
            self._episode, self._step = f"wire-{next(host._numbers)}", 0
        seen = observation(request, host._preset, host.spec, self._episode, self._step, noise)
        began = perf_counter()
        if self._step == 0:
            start = EpisodeStart(
                episode=self._episode, suite="wire", task="wire", instruction=seen.instruction,
                init_state=0, action=host._preset.action, noise_seed=noise,
            )  # fmt: skip
            (await host._actor.reset(start)).unwrap()
        try:
            chunk = (await host._actor.act(seen)).unwrap()
        finally:
            if not host._per_connection:
                await host._actor.forget(self._episode)
        self._step += 1
        checked = checked_chunk(chunk, host._preset.action, host.spec.horizon)
        return checked, 1000 * (perf_counter() - began)

    async def close(self) -> None:
        """The connection has ended."""
        if self._episode and self._host._per_connection:
            await self._host._actor.forget(self._episode)


def _noise(message: bytes, seed: int) -> int:
    digest = hashlib.blake2b(message, digest_size=8, salt=seed.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big") >> 33
