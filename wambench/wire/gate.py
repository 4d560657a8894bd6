"""Who may connect: a token where there is one, no web pages, no foreign names of this host."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True)
class Gate:
    """Answers a connection's first HTTP request.

    Attributes:
        health: path -> what to answer to a plain GET.
        token: that must be shown as ``Authorization: Api-Key TOKEN``, or as the password of Basic
            (``ws://x:TOKEN@host``); None: nobody is asked.
        loopback: names of this host other than its loopback ones are refused, so that a web page
            cannot reach the server under a name of its own.
    """

    health: dict[str, str]
    token: str | None
    loopback: bool

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """None lets the connection on."""
        headers = request.headers
        hosts = [name.rsplit(":", 1)[0] for name in headers.get_all("Host")]
        is_ours = len(hosts) == 1 and (hosts[0] in LOOPBACK or not self.loopback)
        if headers.get_all("Origin") or not is_ours:
            return connection.respond(HTTPStatus.FORBIDDEN, "not for web pages\n")
        if request.path in self.health:
            return connection.respond(HTTPStatus.OK, self.health[request.path])
        if self.token is not None and not self._shown(headers.get_all("Authorization")):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "a token is needed\n")
        if request.path != "/":
            return connection.respond(HTTPStatus.NOT_FOUND, "nothing here\n")
        return None

    def _shown(self, found: list[str]) -> bool:
        kind, _, value = (found[0] if len(found) == 1 else "").partition(" ")
        if kind == "Basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif kind != "Api-Key":
            return False
        assert self.token is not None
        return hmac.compare_digest(value.encode(), self.token.encode())
