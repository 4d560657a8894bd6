"""vla-eval's wire: recorded frames, hostile ones, and a server that keeps in step."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from PIL import Image
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedOK

from tests.running import in_process
from tests.test_wire_openpi import Echo, joined, serving, state  # noqa: F401
from wambench import Policy, plugins
from wambench.cells import Cell, noise_seed
from wambench.wire.host import Host
from wambench.wire.limits import SERVER_BYTES, WireError
from wambench.wire.presets import VLA_EVAL_PANDA
from wambench.wire.vla_eval import Frame, Packing, decode, encode
from wambench.wire.vla_eval_server import start

RECORDED = Path(__file__).parent / "wire"
INSTRUCTION = "pick up the alphabet soup and place it in the basket"
TASK = {"name": INSTRUCTION, "suite": "libero_object", "task_id": 0, "episode_idx": 3}


def frames(file: str) -> Iterator[bytes]:
    for line in (RECORDED / f"vlaeval_{file}.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry.get("op") == "binary":
            yield base64.b64decode(entry["b64"])


@pytest.mark.parametrize(
    ("file", "packing"),
    [("episodes_png", "png"), ("episodes_raw", "raw"), ("errors", "png"), ("start_fails", "png")],
)
def test_recorded_frames_encode_to_the_same_bytes(file: str, packing: Packing) -> None:
    """Pictures as pixels: what PNG makes of them differs between its builds."""
    found = list(frames(file))
    assert len(found) > 5
    for message in found:
        frame = decode(message, SERVER_BYTES)
        again = encode(frame, packing)
        assert again == message or (packing == "png" and _same(decode(again, SERVER_BYTES), frame))


def _same(one: Frame, other: Frame) -> bool:
    pictures = one.payload["images"], other.payload["images"]
    return all(np.array_equal(pictures[0][name], pictures[1][name]) for name in pictures[1])


def test_lossy_pictures_arrive() -> None:
    seen = [decode(message, SERVER_BYTES) for message in frames("episodes_jpeg")]
    pictures = [f.payload["images"]["agentview"] for f in seen if f.type == "observation"]
    assert pictures and all(p.dtype == np.uint8 and p.shape[2] == 3 for p in pictures)


def test_recorded_hostile_frames_are_refused() -> None:
    refused = []
    for message in frames("hostile"):
        try:
            decode(message, SERVER_BYTES)
        except WireError as error:
            refused.append(str(error))
    assert len(refused) == 7 and not any("\n" in line for line in refused)


def png(height: int, width: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return file.getvalue()


PICTURES: dict[str, dict[str, Any]] = {
    "another format": {"data": png(4, 4, "BMP")},
    "larger than it says": {"data": png(400, 400)},
    "a bomb": {"data": png(4, 4), "shape": [1 << 15, 1 << 15, 3]},
    "cut short": {"data": png(4, 4)[:-30]},
    "no picture": {"data": b"x"},
    "an odd shape": {"shape": [4, 4]},
    "another kind": {"format": "tiff"},
    "raw objects": {"format": "raw", "dtype": "|O", "data": b"\0" * 8, "shape": [1]},
}


@pytest.mark.parametrize("what", PICTURES)
def test_odd_pictures_are_refused(what: str) -> None:
    picture = {"__image__": True, "format": "png", "data": png(4, 4), "shape": [4, 4, 3]}
    fields = {"type": "observation", "payload": {"x": picture | PICTURES[what]}, "seq": 1}
    with pytest.raises(WireError) as caught:
        decode(msgpack.packb(fields | {"timestamp": 0.0}), SERVER_BYTES)
    assert "\n" not in str(caught.value)


def test_a_grey_picture_comes_back() -> None:
    """Their own encoder cannot send it."""
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    found = decode(encode(Frame.now("observation", {"x": grey}, 1)), SERVER_BYTES).payload["x"]
    assert np.array_equal(found, grey)


# ---------------------------------------------------------------- the server


class Once(Echo):
    """Executes two actions of a chunk; every action of it says which one it is."""

    spec = Echo.spec.model_copy(update={"replan_steps": 2})

    def _one(self, seen: Any) -> Any:
        return super()._one(seen) + np.arange(5)[:, None] / 1e3


Scene = Callable[[str], Awaitable[None]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def play(scene: Scene, policy: type[Policy] = Once, seed: int = 7) -> None:
        make = plugins.make_policy
        monkeypatch.setattr(plugins, "make_policy", lambda name, options: policy())

        async def both() -> None:
            server = await start(Host("once", {}, VLA_EVAL_PANDA), "127.0.0.1", 0, None, seed=seed)
            async with server:
                port = next(iter(server.sockets)).getsockname()[1]
                await asyncio.wait_for(scene(f"ws://127.0.0.1:{port}"), 60)

        asyncio.run(both())
        monkeypatch.setattr(plugins, "make_policy", make)

    return play


class Client:
    """Numbers its frames; tells what came back."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self.seq = connection, 0

    async def say(self, type: Any, payload: dict[str, Any]) -> None:
        self.seq += 1
        await self._connection.send(encode(Frame.now(type, payload, self.seq)))

    async def ask(self, type: Any, payload: dict[str, Any]) -> Frame:
        await self.say(type, payload)
        frame = decode(bytes(await self._connection.recv(decode=False)), SERVER_BYTES)
        assert frame.seq == self.seq, "an answer to another question"
        return frame


def observation(**changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(1)
    pictures = {n: random.integers(0, 255, (24, 24, 3), np.uint8) for n in ("agentview", "wrist")}
    return {
        "images": pictures, "task_description": INSTRUCTION,
        "states": state(random), "controller_states": np.zeros(8, np.float32),
    } | changes  # fmt: skip


def test_an_episode_is_answered_step_by_step_with_our_cells_noise(
    served: Callable[..., None],
) -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            client = Client(connection)
            hello = (await client.ask("hello", {"protocol_version": 1})).payload
            assert hello["protocol_version"] == 1 and hello["model_server"] == "wambench:once"
            assert hello["observation_params"] == {
                "send_wrist_image": True, "send_state": True, "quat_no_antipodal": True
            }  # fmt: skip
            for _ in range(2):  # the second episode is the first again
                await client.say("episode_start", {"task": TASK})
                told = []
                for step in range(5):
                    # Between two looks their 0.8 sends no pictures.
                    seen = observation() if step % 2 == 0 else observation(images={})
                    found = (await client.ask("observation", seen)).payload["actions"]
                    assert found.shape == (7,) and found.dtype == np.float64
                    told.append(found)
                await client.say("episode_end", {"metrics": {"success": False}, "steps": 5})
                name = plugins.installed(plugins.SUITES)  # the real suite names the real task
                assert "libero_object" in name
                task = _task_name()
                cell = Cell("", "once", "vla-eval", "libero_object", 0, task, 3, 7)
                for step, action in enumerate(told):
                    noise = noise_seed(cell, step - step % 2) % 1000 / 1000
                    assert action[6] == pytest.approx(min(noise + step % 2 / 1e3, 1.0)), step

    served(scene)


def _task_name() -> str:
    return plugins.make_suite("libero_object").tasks()[0].name


def test_an_error_keeps_the_connection_and_the_step(served: Callable[..., None]) -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            client = Client(connection)
            early = await client.ask("observation", observation())
            assert early.type == "error" and "no episode_start" in early.payload["error"]
            await client.say("episode_start", {"task": TASK})
            for changes, named in (
                ({"states": np.zeros(7)}, "'states' must be 8 floats"),
                ({"images": {}}, "'images/agentview' must be uint8"),
                ({"task_description": "raise"}, "policy raised ValueError"),
            ):
                answer = await client.ask("observation", observation(**changes))
                assert answer.type == "error" and named in answer.payload["error"], answer
                assert "\n" not in answer.payload["error"]
            assert (await client.ask("observation", observation())).type == "action"

    served(scene)


def test_a_fault_at_the_start_waits_for_its_question(served: Callable[..., None]) -> None:
    """Answered at once it would be taken for the first action, and every answer be one late."""

    class Refuses(Once):
        def reset(self, start: Any) -> None:
            if start.init_state == 9:
                raise ValueError("not this one")

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            client = Client(connection)
            for task in (TASK | {"episode_idx": 9}, {"no": "name"}):
                await client.say("episode_start", {"task": task})
                for _ in range(2):
                    answer = await client.ask("observation", observation())
                    assert answer.type == "error" and "episode_start failed" in str(answer.payload)
                await client.say("episode_end", {})
            await client.say("episode_start", {"task": TASK})
            assert (await client.ask("observation", observation())).type == "action"

    served(scene, Refuses)


def test_a_new_episode_drops_what_was_left_of_the_old_chunk(served: Callable[..., None]) -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            client = Client(connection)
            await client.say("episode_start", {"task": TASK})
            first = (await client.ask("observation", observation())).payload["actions"]
            await client.say("episode_start", {"task": TASK})  # without an end
            again = (await client.ask("observation", observation())).payload["actions"]
            assert np.array_equal(first, again)

    served(scene)


def test_episodes_side_by_side_do_not_touch(served: Callable[..., None]) -> None:
    async def scene(url: str) -> None:
        async def run(state: int, naps: float) -> list[bytes]:
            async with joined(url) as connection:
                client, out = Client(connection), []
                await client.say("episode_start", {"task": TASK | {"episode_idx": state}})
                for _ in range(6):
                    await asyncio.sleep(naps)
                    answer = await client.ask("observation", observation())
                    out.append(answer.payload["actions"].tobytes())
                return out

        together = await asyncio.gather(run(1, 0.01), run(2, 0.003), run(3, 0.0))
        alone = [await run(state, 0.0) for state in (1, 2, 3)]
        assert together == alone and len({tuple(one) for one in alone}) == 3

    served(scene)


@pytest.mark.parametrize("message", [b"\xc1", "hello", msgpack.packb([1, 2])])
def test_what_is_no_frame_closes_the_connection(
    served: Callable[..., None], message: bytes | str
) -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await connection.send(message)
            with pytest.raises(ConnectionClosedOK) as closed:
                await connection.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000
        async with joined(url) as connection:
            assert (await Client(connection).ask("hello", {})).type == "hello"

    served(scene)


THEIRS = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from vla_eval.connection import Connection
task = json.loads(sys.argv[3])
random = np.random.default_rng(5)
seen = [
    {
        "images": {
            name: random.integers(0, 255, (256, 256, 3), np.uint8)
            for name in ("agentview", "wrist")
        },
        "task_description": task["name"],
        "states": np.append(random.uniform(-1, 1, 6), [0.02, -0.02]),
    }
    for _ in range(10)
]
async def main():
    async with Connection(sys.argv[2]) as connection:
        await connection.start_episode({"task": task})
        out = [np.asarray((await connection.act(one))["actions"]) for one in seen]
        await connection.end_episode({"metrics": {"success": False}, "steps": len(out)})
    print(json.dumps(np.stack(out).tobytes().hex()))
asyncio.run(main())
"""
OURS = """
import json, sys
import numpy as np
from wambench import plugins
from wambench.cells import Cell, noise_seed
from wambench.wire.presets import VLA_EVAL_PANDA
from wambench.wire.reading import observation
task = json.loads(sys.argv[1])
known = plugins.make_suite(task["suite"]).tasks()[task["task_id"]].name
cell = Cell("", "", "", task["suite"], task["task_id"], known, task["episode_idx"], 7)
policy = plugins.make_policy("nano-imagewam", {})
policy.load()
random = np.random.default_rng(5)
out = []
for step in range(10):
    pictures = {
        f"images/{name}": random.integers(0, 255, (256, 256, 3), np.uint8)
        for name in ("agentview", "wrist")
    }
    state = np.append(random.uniform(-1, 1, 6), [0.02, -0.02])
    seen = {"task_description": task["name"], "states": state, **pictures}
    if len(out) == step:
        shown = observation(seen, VLA_EVAL_PANDA, policy.spec, "e", step, noise_seed(cell, step))
        (chunk,) = policy.act([shown])
        out += list(np.clip(chunk.astype(np.float64), -1, 1)[: policy.spec.replan_steps])
print(json.dumps(np.stack(out[:10]).tobytes().hex()))
"""


@pytest.mark.slow
def test_vla_evals_own_client_gets_our_own_actions(
    serving: Callable[..., str],  # noqa: F811
    tmp_path: Path,
) -> None:
    """Their connection, unmodified, over ten steps: equal to the bit to the policy in process."""
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    if subprocess.run([*install, str(target), "vla-eval==0.8.0"], check=False).returncode:
        pytest.skip("vla-eval 0.8.0 cannot be had here")
    url = serving("nano-imagewam", "--protocol", "vla-eval", "--seed", "7")
    told = in_process(THEIRS, str(target), url, json.dumps(TASK))
    assert told == in_process(OURS, json.dumps(TASK))
