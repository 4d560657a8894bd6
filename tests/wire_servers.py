"""Servers for tests of the wire: wambench's own in a thread, and scripted ones that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
from websockets.sync.server import ServerConnection, serve

from wambench.contract import Observation, PolicySpec
from wambench.policy import Policy
from wambench.profile.acting import ANY_ACTION
from wambench.wire import openpi_server, starvla_server, vla_eval_server
from wambench.wire.host import Host
from wambench.wire.presets import OPENPI_PANDA, STARVLA_PANDA, VLA_EVAL_PANDA

STARTS = {
    "openpi": (OPENPI_PANDA, openpi_server.start),
    "vla-eval": (VLA_EVAL_PANDA, vla_eval_server.start),
    "starvla": (STARVLA_PANDA, starvla_server.start),
}


class Echo(Policy):
    """Says what it saw: the mean of each picture, the state, the noise."""

    spec = PolicySpec(
        paradigm="test", track="nano", about="tells what it saw", cameras=("agentview", "wrist"),
        image_size=(16, 16), orientation="rotated_180",
        proprio=("eef_pos", "eef_axis_angle", "gripper_qpos"), action=ANY_ACTION, horizon=5,
    )  # fmt: skip
    shift = 0.0

    def act(self, observations: Any) -> Any:
        return [self._one(seen) for seen in observations]

    def _one(self, seen: Observation) -> Any:
        if "raise" in seen.instruction:
            raise ValueError("no such thing")
        if "memory" in seen.instruction:
            raise MemoryError("not enough")
        pictures = [seen.images[name].mean() / 255 for name in self.spec.cameras]
        row = [*pictures, *seen.proprio["eef_pos"], seen.proprio["gripper_qpos"][0]]
        noise = seen.noise_seed % 1000 / 1000
        return np.clip(np.tile([*row, noise + self.shift], (5, 1)), -1, 1)


class Shifted(Echo):
    """Answers otherwise."""

    shift = 0.5


@contextlib.contextmanager
def own(protocol: str, policy: type[Policy] = Echo, port: int = 0, **more: Any) -> Iterator[int]:
    """Serve a policy of wambench in a thread; gives its port."""
    preset, start = STARTS[protocol]
    ready, stop = threading.Event(), asyncio.Event()
    found: list[Any] = []

    with mock.patch("wambench.plugins.make_policy", lambda name, options: policy()):
        host = Host("echo", {}, preset)

    async def run() -> None:
        found.append(asyncio.get_running_loop())
        server = await start(host, "127.0.0.1", port, more.get("token"))
        found.append(next(iter(server.sockets)).getsockname()[1])
        ready.set()
        async with server:
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    try:
        yield found[1]
    finally:
        found[0].call_soon_threadsafe(stop.set)
        thread.join()


@contextlib.contextmanager
def scripted(talk: Callable[[ServerConnection], None]) -> Iterator[int]:
    """Serve whatever ``talk`` does with each connection; gives the port."""

    def quietly(connection: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            talk(connection)

    with serve(quietly, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()
