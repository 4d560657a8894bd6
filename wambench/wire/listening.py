"""A server's socket: who may connect, how many, how much."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from wambench.wire.gate import Gate
from wambench.wire.limits import CONNECTIONS, SERVER_BYTES

TRY_LATER = 1013
REASON_BYTES = 123  # what a closing frame holds beside its code
LOOPBACK = ("127.0.0.1", "::1")

Converse = Callable[[ServerConnection], Awaitable[None]]
"""One connection from its first message to its last; may raise ConnectionClosed."""


async def listen(
    converse: Converse, address: str, port: int, token: str | None, health: Mapping[str, str]
) -> Server:
    """Serve on an address (port 0: any that is free).

    Args:
        converse: called for every connection.
        address: to listen on.
        port: to listen on.
        token: that clients must show; see :class:`Gate`.
        health: path -> answer to a plain GET.
    """
    connections: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        if len(connections) >= CONNECTIONS:
            await connection.close(TRY_LATER, f"{CONNECTIONS} connections are open")
            return
        connections.add(connection)
        try:
            with contextlib.suppress(ConnectionClosed):
                await converse(connection)
        finally:
            connections.discard(connection)

    return await serve(
        handle,
        address,
        port,
        process_request=Gate(dict(health), token, loopback=address in LOOPBACK),
        compression=None,
        max_size=SERVER_BYTES,
        max_queue=1,  # a client waits for its answer; what it sends meanwhile stays with it
        ping_interval=None,  # a client that computes for a while has not gone
    )


async def hang_up(connection: ServerConnection, code: int, reason: str) -> None:
    """Close, and read away what the peer sent meanwhile: its own close comes after that."""
    fitting = reason.encode()[:REASON_BYTES].decode(errors="ignore")
    closing = asyncio.create_task(connection.close(code, fitting))
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass
    await closing


async def until_stopped(server: Server, stop: asyncio.Event) -> None:
    """Serve until told to stop, then close every connection."""
    async with server:
        await stop.wait()
