"""One WebSocket to a server: every wait has a limit, every failure one line that names the peer."""

from __future__ import annotations

import contextlib
import ssl
from time import monotonic, sleep

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)
from websockets.sync.client import ClientConnection, connect

from wambench.errors import InfrastructureFailure, UserError
from wambench.wire.limits import CLIENT_BYTES, told
from wambench.wire.remote.address import Address
from wambench.wire.remote.line import OPEN_SECONDS, Line

CLOSE_SECONDS = 0.5  # a peer that does not say goodbye is left
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 2.0  # between tries to connect
REFUSED = (401, 403)


class Connection(Line):
    """A WebSocket's."""

    def __init__(self, address: Address, token: str | None, timeout: float) -> None:
        """Connect. UserError for a server that wants another token."""
        super().__init__(address, token, timeout)
        headers = {} if token is None else {"Authorization": f"Api-Key {token}"}
        self._socket: ClientConnection | None = None
        try:
            self._socket = connect(
                address.websocket,
                additional_headers=headers,
                compression=None,
                max_size=CLIENT_BYTES,
                open_timeout=min(OPEN_SECONDS, timeout),
                close_timeout=CLOSE_SECONDS,
                ping_interval=None,  # a server that computes for a while has not gone
                proxy=None,  # a proxy of the environment's is not for a robot's policy
            )
        except InvalidStatus as error:
            code = error.response.status_code
            if code in REFUSED:
                raise UserError(
                    f"{address} refuses the connection (HTTP {code}); name a token_file that "
                    "holds its token"
                ) from None
            raise self._failure(f"answered HTTP {code}; is it a policy server?") from None
        except (InvalidHandshake, EOFError) as error:
            raise self._failure(
                f"is no WebSocket server ({_kind(error)}); is it a policy server, and the port "
                "its own?"
            ) from None
        except ssl.SSLError as error:
            raise self._failure(f"cannot be trusted ({told(error)})") from None
        except TimeoutError:
            raise self._failure("does not take connections") from None
        except OSError as error:
            raise self._failure(f"cannot be reached ({error.strerror or error})") from None

    def send(self, message: bytes) -> None:
        """Send a message."""
        assert self._socket is not None
        try:
            self._socket.send(message)
        except (WebSocketException, OSError) as error:
            raise self._failure(f"closed the connection ({_kind(error)})") from None

    def receive(self) -> bytes | str:
        """The next message, within ``timeout`` seconds."""
        assert self._socket is not None
        try:
            return self._socket.recv(timeout=self.timeout)
        except TimeoutError:
            raise self._failure(f"sent nothing for {self.timeout:g} s") from None
        except ConnectionClosed as error:
            close = error.rcvd
            why = f"{close.code} {told(close.reason)[:200]}".strip() if close else "without a word"
            raise self._failure(f"closed the connection ({why})") from None
        except (WebSocketException, OSError) as error:
            raise self._failure(f"broke off ({_kind(error)})") from None

    def close(self) -> None:
        """End it; may be done twice."""
        if self._socket is not None:
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether it has ended at this side."""
        return self._socket is None or self._socket.close_code is not None


def connected(
    kind: type[Line], address: Address, token: str | None, timeout: float, patience: float
) -> Line:
    """Connect, trying again for ``patience`` seconds; a server may be starting."""
    end, wait = monotonic() + patience, FIRST_WAIT_SECONDS
    while True:
        try:
            return kind(address, token, timeout)
        except InfrastructureFailure:
            if monotonic() + wait > end:
                raise
        sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _kind(error: BaseException) -> str:
    return f"{type(error).__name__}: {told(error)[:120]}" if str(error) else type(error).__name__
