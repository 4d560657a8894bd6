"""A policy for starVLA's clients, who show no episodes: see :mod:`wambench.wire.asking`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.server import Server, ServerConnection

from wambench.errors import InfrastructureFailure, PolicyFault
from wambench.wire.asking import Asker
from wambench.wire.host import Host
from wambench.wire.limits import SERVER_BYTES, WireError, told
from wambench.wire.listening import listen
from wambench.wire.openpi import decode, encode
from wambench.wire.openpi_server import refuse
from wambench.wire.starvla import (
    ACTION_KEYS,
    CAMERAS,
    INFER,
    PING,
    UNNORM_KEY,
    Request,
    examples,
    fault,
    pong,
    result,
    rows,
)


async def start(
    host: Host, address: str, port: int, token: str | None,
    *, seed: int = 0, episode_per_connection: bool = False,
) -> Server:  # fmt: skip
    """Serve; see :func:`listen`. UserError for a policy whose memory would mix up episodes."""
    Asker(host, seed, lasting=episode_per_connection)  # refused now, not at the first connection

    async def converse(connection: ServerConnection) -> None:
        session = _Session(host, seed, episode_per_connection)
        try:
            await connection.send(encode(_metadata(host)))
            async for message in connection:
                try:
                    if isinstance(message, str):
                        raise WireError("a text; requests are bytes")
                    request = Request.of(decode(message, SERVER_BYTES))
                except WireError as error:
                    await refuse(connection, error)
                    return
                await connection.send(encode(await session.answer(request)))
        finally:
            await session.end()

    return await listen(converse, address, port, token, {"/healthz": "OK\n"})


class _Session:
    """One connection: every example is an episode, or all of them are one."""

    def __init__(self, host: Host, seed: int, lasting: bool) -> None:
        self._host, self._seed = host, seed
        self._asker = Asker(host, seed, lasting=True) if lasting else None

    async def answer(self, request: Request) -> Mapping[str, Any]:
        """What to say to a request, right or wrong."""
        if request.type == PING:
            return pong(request)
        if request.type != INFER:
            return fault(request, f"a message of type {request.named}; infer and ping are known")
        try:
            return result(request, await self._infer(request.payload))
        except (WireError, PolicyFault, InfrastructureFailure) as error:
            return fault(request, told(error))

    async def end(self) -> None:
        """The connection's episode is over."""
        if self._asker is not None:
            await self._asker.end()

    async def _infer(self, payload: Any) -> NDArray[np.float64]:
        asked = examples(payload)
        if self._asker is not None and len(asked) > 1:
            raise WireError(f"{len(asked)} examples, where a connection is one episode")
        chunks = await asyncio.gather(*map(self._one, asked), return_exceptions=True)
        for number, chunk in enumerate(chunks):
            if isinstance(chunk, WireError):
                raise WireError(f"example {number}: {chunk}")
            if isinstance(chunk, BaseException):
                raise chunk
        return np.stack([chunk for chunk in chunks if not isinstance(chunk, BaseException)])

    async def _one(self, example: Mapping[str, Any]) -> NDArray[np.float64]:
        """The actions [T, 7] that clients execute before they ask again: all of them."""
        asker = self._asker or Asker(self._host, self._seed, lasting=False)
        chunk = await asker.ask(example, encode(example))
        steps = _steps(self._host)
        if len(chunk) < steps:
            raise PolicyFault(f"act() returned {len(chunk)} of the {steps} actions clients expect")
        return rows(chunk[:steps])


def _steps(host: Host) -> int:
    return min(host.spec.replan_steps or host.spec.horizon, host.spec.horizon)


def _metadata(host: Host) -> Mapping[str, Any]:
    size = host.spec.image_size
    return {
        "env": "wambench",
        "ckpt_path": host.name,
        "action_chunk_size": _steps(host),
        "available_unnorm_keys": [UNNORM_KEY],
        "default_unnorm_key": UNNORM_KEY,
        "training_obs_image_size": None if size is None else list(size),
        "eval_image_contract": f"pictures in this order: {', '.join(CAMERAS)}",
        "action_keys": ACTION_KEYS,
        "state_keys": [f"state.{name}" for name, _ in host.preset.state if host.spec.proprio],
        "wambench": dict(host.about()),
    }
