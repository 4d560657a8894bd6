"""One conversation with a server: what it agreed on, what is asked, and what that took."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wambench.contract import EpisodeStart, Observation
from wambench.errors import InfrastructureFailure, PolicyFault
from wambench.faults import blames_machine
from wambench.wire.limits import told
from wambench.wire.presets import WirePreset
from wambench.wire.remote.connection import Connection
from wambench.wire.remote.line import Line
from wambench.wire.remote.presets import Gripper

OURS = "wambench"
"""Under this name a server of wambench says what it serves, and is told of cells."""


@dataclass(frozen=True)
class Terms:
    """What both sides take for granted.

    Attributes:
        wire: names of the fields.
        gripper: what the last number of an action means.
        horizon: actions that a chunk must have.
        ours: the server is one of wambench and takes a cell's noise.
        unnorm_key: of starVLA's servers.
    """

    wire: WirePreset
    gripper: Gripper
    horizon: int
    ours: bool
    unnorm_key: str | None = None


@dataclass(frozen=True)
class Look:
    """What one question took, by the client's clock, and what the server claims it took."""

    encode_ms: float
    round_trip_ms: float
    decode_ms: float
    sent_bytes: int
    received_bytes: int
    claimed_ms: float = float("nan")

    @classmethod
    def ended(
        cls, times: tuple[float, float, float], question: bytes, message: bytes | str
    ) -> Look:
        """A look that ends now; ``times`` (s): it began, was encoded, was answered."""
        began, encoded, received = times
        return cls(
            encode_ms=1000 * (encoded - began),
            round_trip_ms=1000 * (received - encoded),
            decode_ms=1000 * (perf_counter() - received),
            sent_bytes=len(question),
            received_bytes=len(message),
        )

    def __add__(self, other: Look) -> Look:
        """Of questions that make one look together."""
        return Look(
            self.encode_ms + other.encode_ms,
            self.round_trip_ms + other.round_trip_ms,
            self.decode_ms + other.decode_ms,
            self.sent_bytes + other.sent_bytes,
            self.received_bytes + other.received_bytes,
            self.claimed_ms + other.claimed_ms,
        )

    def claiming(self, value: object) -> Look:
        """With what the server says; it is data, so anything but a number is none."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return replace(self, claimed_ms=float(value)) if is_number else self  # type: ignore[arg-type]


@dataclass(frozen=True)
class Reply:
    """A chunk, float [H, A] as it came, and what it took."""

    chunk: NDArray[np.floating]
    look: Look


class Session(ABC):
    """A conversation over one connection, of the kind ``line``."""

    line: ClassVar[type[Line]] = Connection

    def __init__(self, connection: Line) -> None:
        """Exchange what comes before the first question."""
        self.connection = connection
        self.metadata: Mapping[str, Any] = {}

    @property
    def about(self) -> Mapping[str, Any]:
        """What a server of wambench says; empty from others."""
        found = self.metadata.get(OURS)
        return found if isinstance(found, Mapping) else {}

    @abstractmethod
    def contradictions(self, terms: Terms) -> list[str]:
        """What the server says against the terms: one line each, that names the field."""

    @abstractmethod
    def ask(self, seen: Observation, start: EpisodeStart, terms: Terms) -> Reply:
        """Ask once. InfrastructureFailure, or PolicyFault where the server says error."""

    def end(self) -> None:
        """Say that the episode is over, where that can be said, and close."""
        self.connection.close()


def fault(peer: object, text: object) -> Exception:
    """What a server's error is: the machine's under it, or the policy's."""
    said = f"{peer} says: {told(text)}"
    return InfrastructureFailure(said) if blames_machine(str(text)) else PolicyFault(said)


def rows(value: object, peer: object) -> NDArray[np.floating]:
    """Actions as they came, float [H, A]; PolicyFault for what is none."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.ndim not in (1, 2):
        kind = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else value
        raise PolicyFault(f"{peer} answers actions {str(kind)[:60]}; floats [H, A] are expected")
    found = np.atleast_2d(value)
    if found.size == 0:
        raise PolicyFault(f"{peer} answers an empty chunk {list(value.shape)}")
    return found


def state(seen: Observation, wire: WirePreset) -> NDArray[np.float64]:
    """The state as one vector in the wire's order."""
    return np.concatenate([seen.proprio[name] for name, _ in wire.state])


def cell_of(seen: Observation) -> Mapping[str, Any]:
    """What a server of wambench is told beside the observation."""
    return {"episode": seen.episode, "step": seen.step, "noise_seed": seen.noise_seed}
