"""What a session needs of a connection, whatever carries its messages."""

from __future__ import annotations

from abc import ABC, abstractmethod

from wambench.errors import InfrastructureFailure
from wambench.wire.limits import told
from wambench.wire.remote.address import Address

OPEN_SECONDS = 10.0  # that a server may take to say yes to a connection
SHOWN = 60  # characters of what came instead of an answer


class Line(ABC):
    """Sends and receives messages; raises InfrastructureFailure for whatever goes wrong.

    After a failure it is closed, so that a late answer is never taken for the next one's.

    Attributes:
        address: of the server.
        token: that it asks for.
        timeout: seconds that one message may take to come.
    """

    def __init__(self, address: Address, token: str | None, timeout: float) -> None:
        """Connect. UserError for a server that wants another token."""
        self.address, self.token, self.timeout = address, token, timeout

    @abstractmethod
    def send(self, message: bytes) -> None:
        """Send a message."""

    @abstractmethod
    def receive(self) -> bytes | str:
        """The next message, within ``timeout`` seconds."""

    @abstractmethod
    def close(self) -> None:
        """End it; may be done twice."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it has ended, as far as this side knows."""

    def failure(self, problem: object, message: bytes | str) -> InfrastructureFailure:
        """Close, because of what came: named with its first characters."""
        began = message[:SHOWN]
        return self._failure(f"sent what is no answer: {told(problem)} (it begins {began!r})")

    def _failure(self, problem: str) -> InfrastructureFailure:
        self.close()
        return InfrastructureFailure(f"{self.address} {problem}")
