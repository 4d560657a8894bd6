"""What a user says of a policy that lives elsewhere."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from wambench.contract import Frozen
from wambench.wire.limits import CONNECTIONS, told
from wambench.wire.remote.address import Address

MOST_SECONDS = 24 * 3600.0


def _addresses(value: object) -> object:
    """One address, several in a list, or several with commas between them."""
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(parts) if isinstance(parts, list | tuple) else parts


def _of_one_protocol(found: tuple[Address, ...]) -> tuple[Address, ...]:
    if len({address.protocol for address in found}) > 1:
        raise ValueError("all addresses of a policy must be of one protocol")
    if len(set(found)) < len(found):
        raise ValueError("an address is named twice")
    return found


def _plain(value: str) -> str:
    if not value.strip() or told(value) != value:
        raise ValueError("an identity is one line of text")
    return value


def _seconds(value: float) -> float:
    if not math.isfinite(value) or not 0 < value <= MOST_SECONDS:
        raise ValueError(f"seconds above 0, at most {MOST_SECONDS:.0f}")
    return value


Seconds = Annotated[float, AfterValidator(_seconds)]


class RemoteOptions(Frozen):
    """Options of the policy ``remote``.

    Attributes:
        url: where it is served: one address or several that serve the same.
        preset: what its wire means; a server of wambench says it of itself.
        identity: what is served, in words that change with it (``pi05@1f3a``); a part of the
            cell keys. A server of wambench says it of itself.
        timeout: seconds that one answer may take.
        patience: seconds that a server may be away before what was asked counts as lost.
        connections: to each address, of the protocols without episodes.
        token_file: holds the token that servers ask for.
        horizon: actions of a chunk, where they are not as many as the preset says.
        unnorm_key: of starVLA's servers that have several.
    """

    url: Annotated[
        tuple[Address, ...], BeforeValidator(_addresses), AfterValidator(_of_one_protocol)
    ] = Field(min_length=1)
    preset: str | None = None
    identity: Annotated[str, AfterValidator(_plain)] | None = None
    timeout: Seconds = 60.0
    patience: Seconds = 120.0
    connections: int = Field(default=2, gt=0, le=CONNECTIONS)
    token_file: str | None = None
    horizon: int | None = Field(default=None, gt=0)
    unnorm_key: str | None = None
