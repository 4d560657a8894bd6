"""A policy for openpi's clients."""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from wambench.errors import InfrastructureFailure, PolicyFault
from wambench.wire.gate import Gate
from wambench.wire.host import Host
from wambench.wire.limits import CONNECTIONS, SERVER_BYTES, WireError, told
from wambench.wire.openpi import decode, encode

INTERNAL_ERROR = 1011
REASON = "the fault was said in the message before"
TRY_LATER = 1013


async def start(host: Host, address: str, port: int, token: str | None) -> Server:
    """Serve on an address; port 0: any that is free."""
    gate = Gate({"/healthz": "OK\n"}, token, loopback=address in ("127.0.0.1", "::1"))
    connections: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        if len(connections) >= CONNECTIONS:
            await connection.close(TRY_LATER, f"{CONNECTIONS} connections are open")
            return
        connections.add(connection)
        try:
            await _converse(connection, host)
        finally:
            connections.discard(connection)

    return await serve(
        handle,
        address,
        port,
        process_request=gate,
        compression=None,
        max_size=SERVER_BYTES,
        ping_interval=None,  # a client that computes for a while has not gone
    )


async def _converse(connection: ServerConnection, host: Host) -> None:
    asker, before = host.asker(), None
    with contextlib.suppress(ConnectionClosed):
        await connection.send(encode({"wambench": dict(host.about())}))
        async for message in connection:
            began = perf_counter()
            try:
                if isinstance(message, str):
                    raise WireError("a text; requests are bytes")
                chunk, infer_ms = await asker.ask(decode(message, SERVER_BYTES), message)
            except (WireError, PolicyFault, InfrastructureFailure) as error:
                await connection.send(told(error))
                await connection.close(INTERNAL_ERROR, REASON)
                break
            timing: dict[str, Any] = {"infer_ms": infer_ms}
            if before is not None:
                timing["prev_total_ms"] = before
            await connection.send(encode({
                "actions": chunk, "policy_timing": {"infer_ms": infer_ms}, "server_timing": timing,
            }))  # fmt: skip
            before = 1000 * (perf_counter() - began)
    await asker.close()


async def until_stopped(server: Server, stop: asyncio.Event) -> None:
    """Serve until told to stop, then close every connection."""
    async with server:
        await stop.wait()
