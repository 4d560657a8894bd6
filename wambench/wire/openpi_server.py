"""A policy for openpi's clients, who show no episodes: see :mod:`wambench.wire.asking`."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from websockets.asyncio.server import Server, ServerConnection

from wambench.errors import InfrastructureFailure, PolicyFault
from wambench.wire.asking import Asker
from wambench.wire.host import Host
from wambench.wire.limits import SERVER_BYTES, WireError, told
from wambench.wire.listening import hang_up, listen
from wambench.wire.openpi import decode, encode

INTERNAL_ERROR = 1011
REASON = "the fault was said in the message before"


async def start(
    host: Host, address: str, port: int, token: str | None,
    *, seed: int = 0, episode_per_connection: bool = False,
) -> Server:  # fmt: skip
    """Serve; see :func:`listen`. UserError for a policy whose memory would mix up episodes."""
    Asker(host, seed, lasting=episode_per_connection)  # refused now, not at the first connection

    async def converse(connection: ServerConnection) -> None:
        asker = Asker(host, seed, lasting=episode_per_connection)
        try:
            await _answer_all(connection, host, asker)
        finally:
            await asker.end()

    return await listen(converse, address, port, token, {"/healthz": "OK\n"})


async def refuse(connection: ServerConnection, error: Exception) -> None:
    """Say what was wrong as one line of text, and close."""
    await connection.send(told(error))
    await hang_up(connection, INTERNAL_ERROR, REASON)


async def _answer_all(connection: ServerConnection, host: Host, asker: Asker) -> None:
    before = None
    await connection.send(encode({"wambench": dict(host.about())}))
    async for message in connection:
        began = perf_counter()
        try:
            if isinstance(message, str):
                raise WireError("a text; requests are bytes")
            chunk = await asker.ask(decode(message, SERVER_BYTES), message)
        except (WireError, PolicyFault, InfrastructureFailure) as error:
            await refuse(connection, error)
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
