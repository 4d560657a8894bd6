"""Asking a policy on a wire that shows no episodes: noise comes from the question.

The answer to the same bytes is the same, whoever asked before. A client of wambench tells the
noise of its cell instead.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wambench.contract import EpisodeStart
from wambench.errors import UserError
from wambench.wire.host import Host
from wambench.wire.reading import told_noise

NOWHERE = "wire"  # suite and task of an episode that nobody named


class Asker:
    """A way to the policy: each question is an episode, or all of them are one."""

    def __init__(self, host: Host, seed: int, *, lasting: bool) -> None:
        """UserError for a policy whose memory would mix up episodes.

        Args:
            host: the policy.
            seed: of the noise, beside the question.
            lasting: all questions are one episode, asked one after another.
        """
        if host.may_remember and not lasting:
            raise UserError(
                f"policy {host.name!r} may keep a memory, and no episode is seen on this wire; add "
                "--episode-per-connection if each has one of its own"
            )
        self._host, self._lasting = host, lasting
        self._salt = seed.to_bytes(8, "big")
        self._episode, self._step = "", 0

    async def ask(self, request: Any, question: bytes) -> NDArray[np.float64]:
        """The chunk [1..horizon, dim] for a request.

        Args:
            request: as the host's preset has it.
            question: what the noise is drawn from: the request's own bytes.

        Raises:
            WireError: the request is unfit.
            PolicyFault: the policy's answer is none.
            InfrastructureFailure: the machine under it failed.
        """
        host = self._host
        noise = told_noise(request)
        if noise is None:
            digest = hashlib.blake2b(question, digest_size=8, salt=self._salt).digest()
            noise = int.from_bytes(digest, "big") >> 1
        if not self._episode:
            self._episode, self._step = host.new_episode(), 0
        seen = host.seen(request, self._episode, self._step, noise)
        if self._step == 0:
            await host.begin(
                EpisodeStart(
                    episode=self._episode,
                    suite=NOWHERE,
                    task=NOWHERE,
                    instruction=seen.instruction,
                    init_state=0,
                    action=host.preset.action,
                    noise_seed=noise,
                )
            )
        self._step += 1
        try:
            return await host.act(seen)
        finally:
            if not self._lasting:
                await self.end()

    async def end(self) -> None:
        """The episode is over."""
        if self._step:
            await self._host.forget(self._episode)
        self._episode, self._step = "", 0
