"""``openpi://host:port`` and its like."""

from __future__ import annotations

from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import model_validator

from wambench.contract import Frozen

Protocol = Literal["openpi", "vla-eval", "starvla", "gr00t"]
PORTS: dict[str, int] = {"openpi": 8000, "vla-eval": 8000, "starvla": 10093, "gr00t": 5555}
"""Their servers' own defaults."""

TLS = "+s"


class Address(Frozen):
    """Where a policy is served. Written ``PROTOCOL[+s]://HOST[:PORT]``; ``+s`` is TLS."""

    protocol: Protocol
    host: str
    port: int
    tls: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            found = urlsplit(value.strip())
            port = found.port
        except ValueError as error:
            raise ValueError(f"an address ({error})") from None
        scheme, tls = found.scheme.removesuffix(TLS), found.scheme.endswith(TLS)
        known = get_args(Protocol)
        if scheme not in known or not found.hostname:
            listed = ", ".join(f"{name}://HOST:PORT" for name in known)
            raise ValueError(f"one of {listed} (with {TLS} after the name: TLS)")
        if tls and scheme == "gr00t":
            raise ValueError("gr00t:// without TLS, which its servers do not speak")
        if found.username is not None or found.password is not None:
            raise ValueError("an address without a password; name a token_file")
        if found.path.strip("/") or found.query or found.fragment:
            raise ValueError("an address without a path")
        port = PORTS[scheme] if port is None else port
        return {"protocol": scheme, "host": found.hostname, "port": port, "tls": tls}

    def __str__(self) -> str:
        return f"{self.protocol}{TLS * self.tls}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port, as they stand in every kind of address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def websocket(self) -> str:
        """As a WebSocket's address."""
        return f"{'wss' if self.tls else 'ws'}://{self.authority}"
