"""Servers of every protocol in this process, each with its way to ask one question."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.test_wire_openpi import Echo, request
from wambench import Policy, plugins
from wambench.wire import (
    openpi,
    openpi_server,
    presets,
    starvla_server,
    vla_eval,
    vla_eval_server,
)
from wambench.wire.host import Host
from wambench.wire.limits import SERVER_BYTES

RECORDED = Path(__file__).parent / "wire"
TASK = {"name": "go", "suite": "libero_object", "task_id": 0, "episode_idx": 3}
Scene = Callable[[str], Awaitable[None]]


def recorded(file: str, direction: str | None = None) -> Iterator[bytes]:
    """Binary messages of a recording and its vectors' bytes, of one direction ("c2s") or all."""
    for line in (RECORDED / file).read_text().splitlines():
        entry = json.loads(line)
        if "b64" in entry and (direction is None or entry.get("dir") == direction):
            yield base64.b64decode(entry["b64"])


@dataclass(frozen=True)
class Wire:
    """One protocol.

    Attributes:
        start: starts its server.
        preset: of LIBERO.
        health: path that says that it lives.
        speaks: whether the server speaks first.
        question: prompt and openpi's fields -> message.
    """

    start: Callable[..., Awaitable[Any]]
    preset: presets.WirePreset
    health: str
    speaks: bool
    question: Callable[..., bytes]

    async def begin(self, connection: ClientConnection) -> None:
        """All that comes before the first question."""
        if not self.speaks:
            await connection.send(frame("hello", {}))
        await connection.recv()
        if not self.speaks:
            await connection.send(frame("episode_start", {"task": TASK}))

    async def ask(self, connection: ClientConnection, prompt: str = "go", **fields: Any) -> Any:
        """Actions [.., 7] as they lie on the wire, or the text of a fault."""
        await connection.send(self.question(prompt, **fields))
        return self.answer(await connection.recv())

    def answer(self, message: bytes | str) -> Any:
        """What a message of the server says."""
        if isinstance(message, str):
            return message
        if self.speaks:
            found = openpi.decode(message, SERVER_BYTES)
            text = found.get("error", {}).get("message")
            return text or found.get("data", found)["actions"]
        payload = vla_eval.decode(message, SERVER_BYTES).payload
        return payload.get("error") or payload["actions"]


def frame(type: Any, payload: dict[str, Any]) -> bytes:
    """A frame of vla-eval, its bytes the same at any time."""
    return vla_eval.encode(vla_eval.Frame(type, payload, 1, 0.0))


def _openpi(prompt: str, **fields: Any) -> bytes:
    return openpi.encode(request(prompt, **fields))


def example(prompt: str = "go", **fields: Any) -> dict[str, Any]:
    """starVLA's."""
    of = request(prompt, **fields)
    pictures = [of["observation/image"], of["observation/wrist_image"]]
    return {"image": pictures, "lang": prompt, "state": of["observation/state"]}


def _starvla(prompt: str, **fields: Any) -> bytes:
    return openpi.encode({"examples": [example(prompt, **fields)]})


def _vla_eval(prompt: str, **fields: Any) -> bytes:
    of = request(prompt, **fields)
    pictures = {"agentview": of["observation/image"], "wrist": of["observation/wrist_image"]}
    seen = {"images": pictures, "task_description": prompt, "states": of["observation/state"]}
    return frame("observation", seen)


WIRES = {
    "openpi": Wire(openpi_server.start, presets.OPENPI_PANDA, "/healthz", True, _openpi),
    "starvla": Wire(starvla_server.start, presets.STARVLA_PANDA, "/healthz", True, _starvla),
    "vla-eval": Wire(vla_eval_server.start, presets.VLA_EVAL_PANDA, "/health", False, _vla_eval),
}


def play(
    wire: Wire, scene: Scene, policy: type[Policy] = Echo, *, limit_s: float = 60, **options: Any
) -> None:
    """Serve a policy, and let a scene play with the server's address."""

    async def both() -> None:
        server = await wire.start(Host("echo", {}, wire.preset), "127.0.0.1", 0, None, **options)
        async with server:
            port = next(iter(server.sockets)).getsockname()[1]
            await asyncio.wait_for(scene(f"ws://127.0.0.1:{port}"), limit_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "make_policy", lambda name, options: policy())
        asyncio.run(both())


def joined(url: str, **more: Any) -> connect:
    """A connection that goes through no proxy."""
    return connect(url, proxy=None, compression=None, max_size=None, **more)


def acts(rows: Any) -> type[Policy]:
    """A policy that answers every question with the same rows."""

    class Acts(Echo):
        def _one(self, seen: Any) -> Any:
            return np.array(rows, np.float64)

    return Acts
