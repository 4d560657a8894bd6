"""Other suites' own loops against a served policy: what crosses the wire, and our own episodes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.recorded import record_run
from wambench import Policy, plugins
from wambench.contract import Observation
from wambench.protocols import protocol
from wambench.store import Store
from wambench.wire.openpi import encode
from wambench.wire.presets import OPENPI_PANDA
from wambench.wire.reading import observation

SEED = 0  # of the noise: what record_run gives its cells
LIMIT = 900  # seconds for a peer on a busy machine


# ---------------------------------------------------------------- between them and the server


async def relayed(
    url: str,
    command: Callable[[int], Sequence[str]],
    environment: Mapping[str, str],
    log: Path,
    enough: Callable[[Sequence[bytes]], bool],
) -> tuple[list[bytes], list[bytes]]:
    """Run a client that reaches the server at ``url`` through a relay; questions and answers.

    Args:
        command: port -> the client's command line.
        enough: of all questions, whether the client may be stopped before it ends by itself.
    """
    asked: list[bytes] = []
    told: list[bytes] = []
    texts: list[str] = []  # openpi's faults; vla-eval has none
    stop = asyncio.Event()
    plain: dict[str, Any] = {"compression": None, "max_size": None, "ping_interval": None}

    async def pump(source: Connection, target: Connection, kept: list[bytes]) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in source:
                if isinstance(message, str):
                    texts.append(message)
                else:
                    kept.append(message)
                if texts or (kept is asked and enough(asked)):
                    stop.set()
                await target.send(message)
        await target.close()

    async def join(client: ServerConnection) -> None:
        async with connect(url, proxy=None, **plain) as server:
            await asyncio.gather(pump(client, server, asked), pump(server, client, told))

    async with serve(join, "127.0.0.1", 0, **plain) as relay:
        port = next(iter(relay.sockets)).getsockname()[1]
        with log.open("wb") as file:
            client = await asyncio.create_subprocess_exec(
                *command(port), cwd=log.parent, env=environment, stdout=file, stderr=file
            )
        waits = [asyncio.create_task(client.wait()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(waits, timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
            stopped = stop.is_set()
        finally:
            if client.returncode is None:
                client.kill()
            waits[1].cancel()
        code = await waits[0]
    assert not texts, texts
    assert stopped or code == 0, log.read_text()[-3000:]
    return asked, told


def environment(site: Path, folder: Path) -> dict[str, str]:
    """Of a process with the packages in ``site``: software OpenGL, LIBERO's paths, no proxy."""
    out = os.environ | {
        "PYTHONPATH": str(site),
        "HOME": str(folder),
        "MUJOCO_GL": "osmesa",
        "PYOPENGL_PLATFORM": "osmesa",
        "LP_NUM_THREADS": "1",
        "LIBERO_CONFIG_PATH": os.devnull + "/none",  # then the paths of the package
        "no_proxy": "127.0.0.1",
    }
    found = find_spec("lavavu")
    if found is not None and found.origin is not None:  # else the system's own is looked for
        libraries = Path(found.origin).parent.parent / "lavavu_osmesa.libs"
        links = folder / "gl"
        links.mkdir()
        (links / "libOSMesa.so").symlink_to(next(libraries.glob("libOSMesa-*.so*")))
        out["LD_LIBRARY_PATH"] = f"{links}:{libraries}"
    return out


# ---------------------------------------------------------------- our own episodes


class Behind(Policy):
    """A policy that is shown what a peer would send it, in an episode of our own."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self.spec = policy, policy.spec

    def load(self) -> None:
        self._policy.load()

    def fingerprint(self) -> Mapping[str, str]:
        return self._policy.fingerprint()

    def act(self, observations: Sequence[Observation]) -> Sequence[Any]:
        return self._policy.act([self._sent(one) for one in observations])

    def _sent(self, seen: Observation) -> Observation:
        raise NotImplementedError


class BehindVlaEval(Behind):
    """Its axis-angle is a float32 in a vector of float64; it sends all else as it is."""

    def _sent(self, seen: Observation) -> Observation:
        turned = seen.proprio["eef_axis_angle"].astype(np.float32).astype(np.float64)
        return dataclasses.replace(seen, proprio={**seen.proprio, "eef_axis_angle": turned})


class BehindOpenpi(Behind):
    """Pictures of 224 pixels, resized again by the server; noise from the bytes of the question."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.spec = policy.spec.model_copy(update={"image_size": (224, 224)})

    def _sent(self, seen: Observation) -> Observation:
        pictures = {key: seen.images[name] for name, key in OPENPI_PANDA.images.items()}
        parts = [seen.proprio[name] for name, _ in OPENPI_PANDA.state]
        asked = {
            **pictures,
            OPENPI_PANDA.state_key: np.concatenate(parts),
            OPENPI_PANDA.prompt: seen.instruction,
        }
        salt = SEED.to_bytes(8, "big")
        digest = hashlib.blake2b(encode(asked), digest_size=8, salt=salt).digest()
        noise = int.from_bytes(digest, "big") >> 1
        spec = self._policy.spec
        return observation(asked, OPENPI_PANDA, spec, seen.episode, seen.step, noise)


BEHIND: Mapping[str, type[Behind]] = {"vla-eval": BehindVlaEval, "openpi": BehindOpenpi}


def own_episode(policy: str, peer: str, suite: str, steps: int) -> tuple[str, list[list[float]]]:
    """Outcome and actions of our episode of a suite's first task and state, as ``peer`` has it."""
    changes: dict[str, Any] = {"max_steps": {suite: steps}}
    shown = BEHIND[peer](plugins.make_policy(policy, {}))
    if peer == "vla-eval":  # whose pictures the server resizes once, as an episode does
        changes["image_size"] = list(shown.spec.image_size or ())
    shown.load()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        rules = protocol(peer, changes)
        record_run(run, plugins.make_suite(suite), {policy: shown}, [0], [0], rules)
        with Store.read(run) as store:
            (ended,) = store.cells()
            actions: NDArray[np.float64] = store.trace(ended.cell.key).actions
    return str(ended.outcome), actions.tolist()
