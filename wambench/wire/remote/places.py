"""Where a served policy's conversations and episodes are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wambench.contract import EpisodeStart, Observation
from wambench.wire.remote.address import Address
from wambench.wire.remote.session import Look, Session


class Seat:
    """A place for a connection to an address."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.session: Session | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a connection that has not ended."""
        return self.session is not None and not self.session.connection.closed

    def close(self) -> None:
        """End what there is."""
        if self.session is not None:
            self.session.end()
        self.session = None


class Episode:
    """What is known of an episode; ``seat`` is its own where the protocol has episodes."""

    def __init__(self, start: EpisodeStart, seat: Seat) -> None:
        self.start, self.seat = start, seat
        self.looks: list[Look] = []
        self.question: Observation | None = None  # whose chunk is kept
        self.chunk: NDArray[np.floating] = np.empty((0, 0))
