"""A policy for openpi's clients.

No episode is seen on this wire, so noise comes from the question: the answer to the same bytes is
the same, whoever asked before. A client of wambench tells the noise of its cell instead.
"""

from __future__ import annotations

import hashlib
from time import perf_counter
from typing import Any

from websockets.asyncio.server import Server, ServerConnection

from wambench.contract import EpisodeStart
from wambench.errors import InfrastructureFailure, PolicyFault, UserError
from wambench.wire.host import Host
from wambench.wire.limits import SERVER_BYTES, WireError, told
from wambench.wire.listening import listen
from wambench.wire.openpi import decode, encode
from wambench.wire.reading import told_noise

INTERNAL_ERROR = 1011
REASON = "the fault was said in the message before"
NOWHERE = "wire"  # suite and task of an episode that nobody named


async def start(
    host: Host, address: str, port: int, token: str | None,
    *, seed: int = 0, episode_per_connection: bool = False,
) -> Server:  # fmt: skip
    """Serve; see :func:`listen`. UserError for a policy whose memory would mix up episodes."""
    if host.may_remember and not episode_per_connection:
        raise UserError(
            f"policy {host.name!r} may keep a memory, and no episode is seen on this wire; add "
            "--episode-per-connection if each has one of its own"
        )

    async def converse(connection: ServerConnection) -> None:
        asker = _Asker(host, seed, episode_per_connection)
        try:
            await _answer_all(connection, host, asker)
        finally:
            await asker.end()

    return await listen(converse, address, port, token, {"/healthz": "OK\n"})


async def _answer_all(connection: ServerConnection, host: Host, asker: _Asker) -> None:
    before = None
    await connection.send(encode({"wambench": dict(host.about())}))
    async for message in connection:
        began = perf_counter()
        try:
            if isinstance(message, str):
                raise WireError("a text; requests are bytes")
            chunk = await asker.ask(message)
        except (WireError, PolicyFault, InfrastructureFailure) as error:
            kind = f"{type(error).__name__}: " if isinstance(error, InfrastructureFailure) else ""
            await connection.send(kind + told(error))
            await connection.close(INTERNAL_ERROR, REASON)
            return
        infer_ms = 1000 * (perf_counter() - began)
        timing: dict[str, Any] = {"infer_ms": infer_ms}
        if before is not None:
            timing["prev_total_ms"] = before
        answer = {
            "actions": chunk, "policy_timing": {"infer_ms": infer_ms}, "server_timing": timing,
        }  # fmt: skip
        await connection.send(encode(answer))
        before = 1000 * (perf_counter() - began)


class _Asker:
    """One connection's way to the policy: each question, or all of them, are an episode."""

    def __init__(self, host: Host, seed: int, lasting: bool) -> None:
        self._host, self._lasting = host, lasting
        self._salt = seed.to_bytes(8, "big")
        self._episode, self._step = "", 0

    async def ask(self, message: bytes) -> Any:
        """The chunk for a request."""
        host = self._host
        request = decode(message, SERVER_BYTES)
        noise = told_noise(request)
        if noise is None:
            digest = hashlib.blake2b(message, digest_size=8, salt=self._salt).digest()
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
