"""Asking openpi's servers; see :mod:`wambench.wire.openpi`."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from wambench.contract import EpisodeStart, Observation
from wambench.wire.limits import CLIENT_BYTES, METADATA_BYTES, WireError
from wambench.wire.openpi import decode, encode
from wambench.wire.remote.line import Line
from wambench.wire.remote.session import (
    OURS,
    Look,
    Reply,
    Session,
    Terms,
    cell_of,
    fault,
    rows,
    state,
)


class OpenpiSession(Session):
    """The server speaks first: a map of metadata, often empty."""

    def __init__(self, connection: Line) -> None:
        super().__init__(connection)
        self.metadata = metadata(connection)

    def contradictions(self, terms: Terms) -> list[str]:
        """None: it says nothing of what it takes."""
        return []

    def ask(self, seen: Observation, start: EpisodeStart, terms: Terms) -> Reply:
        """One request, one reply."""
        request: dict[str, Any] = {
            key: seen.images[name] for name, key in terms.wire.images.items()
        }
        request[terms.wire.prompt] = seen.instruction
        if terms.wire.state:
            request[terms.wire.state_key] = state(seen, terms.wire)
        if terms.ours:
            request[OURS] = cell_of(seen)
        answer, look = exchange(self.connection, request)
        timing = answer.get("server_timing")
        claimed = timing.get("infer_ms") if isinstance(timing, Mapping) else None
        peer = self.connection.address
        return Reply(rows(answer.get("actions"), peer), look.claiming(claimed))


def metadata(connection: Line) -> Mapping[str, Any]:
    """What a server says first."""
    message = connection.receive()
    try:
        found = decode(message, METADATA_BYTES) if isinstance(message, bytes) else message
        if not isinstance(found, Mapping):
            raise WireError("its first message is no map of metadata")
    except WireError as error:
        raise connection.failure(error, message) from None
    return found


def exchange(connection: Line, request: object) -> tuple[Mapping[str, Any], Look]:
    """Send one map, receive one. A text is the server's traceback, before it closes."""
    began = perf_counter()
    question = encode(request)
    encoded = perf_counter()
    connection.send(question)
    message = connection.receive()
    received = perf_counter()
    if isinstance(message, str):
        lines = [line for line in message.splitlines() if line.strip()]
        connection.close()
        raise fault(connection.address, lines[-1] if lines else "an error without a word")
    try:
        answer = decode(message, CLIENT_BYTES)
        if not isinstance(answer, Mapping):
            raise WireError(f"a {type(answer).__name__} instead of a map")
    except WireError as error:
        raise connection.failure(error, message) from None
    return answer, Look.ended((began, encoded, received), question, message)
