"""openpi's wire: recorded bytes, hostile bytes, and a server that real clients can ask."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.conftest import CommandLine, Refused
from tests.running import COMMAND, in_process
from wambench import Policy, PolicySpec, plugins
from wambench.contract import Observation
from wambench.profile.acting import ANY_ACTION
from wambench.wire.host import Host
from wambench.wire.limits import SERVER_BYTES, WireError
from wambench.wire.openpi import decode, encode
from wambench.wire.openpi_server import start
from wambench.wire.presets import OPENPI_PANDA

RECORDED = Path(__file__).parent / "wire"
REFUSED = {"str_U", "bytes_S", "datetime"}  # texts and dates as arrays have no use here
CHANGED = {"big_endian_f4"}  # arrives in native order


def lines(name: str) -> Iterator[dict[str, Any]]:
    for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
        yield json.loads(line)


def vectors() -> Iterator[tuple[str, bytes]]:
    for entry in lines("openpi_codec_vectors"):
        if "b64" in entry:
            yield entry["name"], base64.b64decode(entry["b64"])
    for file in ("openpi_infer", "openpi_broker_apikey", "openpi_error", "starvla_ws"):
        for number, entry in enumerate(lines(file)):
            if entry.get("op") == "binary":
                yield f"{file}-{number}", base64.b64decode(entry["b64"])


VECTORS = dict(vectors())


@pytest.mark.parametrize("name", VECTORS)
def test_recorded_messages_decode_and_encode_to_the_same_bytes(name: str) -> None:
    if name in REFUSED:
        with pytest.raises(WireError, match="only numbers and booleans"):
            decode(VECTORS[name], SERVER_BYTES)
        return
    value = decode(VECTORS[name], SERVER_BYTES)
    assert (encode(value) == VECTORS[name]) == (name not in CHANGED)


def test_arrays_are_our_own_writable_copies() -> None:
    found = decode(VECTORS["float32_2x2"], SERVER_BYTES)
    found += 1
    assert found.tolist() == [[2.5, -1], [1, 4]]
    assert decode(VECTORS["big_endian_f4"], SERVER_BYTES).dtype.isnative


@pytest.mark.parametrize("dtype", [object, np.complex64, "U3", "M8[D]", [("a", "i4")]])
def test_what_openpi_refuses_to_send_we_refuse(dtype: Any) -> None:
    with pytest.raises(WireError, match="cannot be sent"):
        encode({"x": np.zeros(2, dtype)})


def marked(**changes: object) -> dict[bytes, object]:
    fields = {"__ndarray__": True, "data": b"\0" * 8, "dtype": "<f4", "shape": [2]} | changes
    return {key.encode(): value for key, value in fields.items()}


HOSTILE = {
    "objects": marked(dtype="|O"),
    "records": marked(dtype="<i4,<i4"),
    "dates": marked(dtype="<M8[s]"),
    "a prefix": marked(shape=[1]),
    "minus one": marked(shape=[-1]),
    "a bool as length": marked(shape=[True, 2]),
    "too many dimensions": marked(shape=[1] * 9, data=b"\0" * 4),
    "a terabyte": marked(shape=[1 << 40], data=b""),
    "an overflow": marked(shape=[1 << 62, 4], data=b""),
    "no data": marked(data="text"),
    "a number of objects": {b"__npgeneric__": True, b"data": 1, b"dtype": "|O"},
    "a float too large": {b"__npgeneric__": True, b"data": 1e300, b"dtype": "<f4"},
    "a number too large": {b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"},
    "vla-eval's marks": {"__ndarray__": True, "data": b"", "dtype": "<f4", "shape": [0]},
    "msgpack-numpy's marks": {
        b"nd": True,
        b"type": "<f4",
        b"kind": b"O",
        b"shape": [],
        b"data": b"",
    },
    "a key of numbers": {1: 2},
    "a date": msgpack.Timestamp(1, 0),
    "an extension": msgpack.ExtType(5, b"x"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_messages_are_refused_in_one_line(what: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(msgpack.packb({"x": HOSTILE[what]}), SERVER_BYTES)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_message_are_refused() -> None:
    deep: Any = 0
    for _ in range(40):
        deep = [deep]
    bad = [b"", b"\xc1", b"\x91" * 5000, b"\xa3abc\xff", b"\xd9\x02\xff\xff", msgpack.packb(deep)]
    bad += [VECTORS["float32_2x2"][:-1], VECTORS["float32_2x2"] + b"\0", b"\xdb\x7f\xff\xff\xff"]
    for message in bad:
        with pytest.raises(WireError):
            decode(message, SERVER_BYTES)
    with pytest.raises(WireError, match="bytes; 8 are allowed"):
        decode(b"0123456789", 8)


# ---------------------------------------------------------------- the server


class Echo(Policy):
    """Says what it saw: the mean of each picture, the state, the length of the instruction."""

    spec = PolicySpec(
        paradigm="test", about="tells what it saw", cameras=("agentview", "wrist"),
        image_size=(16, 16), orientation="rotated_180",
        proprio=("eef_pos", "eef_axis_angle", "gripper_qpos"), action=ANY_ACTION, horizon=5,
    )  # fmt: skip
    naps = 0.0

    def act(self, observations: Any) -> Any:
        time.sleep(self.naps)
        return [self._one(seen) for seen in observations]

    def _one(self, seen: Observation) -> Any:
        if "raise" in seen.instruction:
            raise ValueError("no\nsuch thing in /srv/secret/place.py")
        pictures = [seen.images[name].mean() / 255 for name in self.spec.cameras]
        row = [*pictures, *seen.proprio["eef_pos"], *seen.proprio["gripper_qpos"][:1], 0.5]
        row[-1] = seen.noise_seed % 1000 / 1000
        return np.tile(np.array(row), (5, 1)) * (np.nan if "nan" in seen.instruction else 1)


def state(random: np.random.Generator) -> np.ndarray:
    """Anywhere, the hand half open."""
    return np.append(random.uniform(-1, 1, 6), [0.02, -0.02])


def request(prompt: str = "go", size: int = 24, **changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(size)
    return {
        "observation/image": random.integers(0, 255, (size, size, 3), np.uint8),
        "observation/wrist_image": random.integers(0, 255, (size, size, 3), np.uint8),
        "observation/state": state(random),
        "prompt": prompt,
    } | changes


Scene = Callable[[str], Awaitable[None]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Serve a policy, and let a scene play with the server's address."""

    def play(scene: Scene, policy: type[Policy] = Echo, token: str | None = None) -> None:
        monkeypatch.setattr(plugins, "make_policy", lambda name, options: policy())

        async def both() -> None:
            host = Host("echo", {}, OPENPI_PANDA)
            server = await start(host, "127.0.0.1", 0, token)
            async with server:
                port = next(iter(server.sockets)).getsockname()[1]
                await asyncio.wait_for(scene(f"ws://127.0.0.1:{port}"), 60)

        asyncio.run(both())

    return play


def joined(url: str, **more: Any) -> connect:
    return connect(url, proxy=None, compression=None, max_size=None, **more)


async def said(connection: ClientConnection) -> Any:
    return decode(bytes(await connection.recv(decode=False)), SERVER_BYTES)


async def asked(connection: ClientConnection, question: Any) -> Any:
    await connection.send(encode(question))
    return await said(connection)


def test_the_server_speaks_first_and_answers(served: Callable[..., None]) -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            about = (await said(connection))["wambench"]
            assert about["spec"]["horizon"] == 5 and about["preset"]["orientation"] == "rotated_180"
            question = request(size=16)
            first = await asked(connection, question)
            assert first["actions"].shape == (5, 7) and first["actions"].dtype == np.float64
            state = question["observation/state"]
            assert np.array_equal(first["actions"][0, 2:5], state[:3])
            assert first["actions"][0, 5] == state[6]
            assert set(first["server_timing"]) == {"infer_ms"}
            again = await asked(connection, question)
            assert np.array_equal(again["actions"], first["actions"]), "noise is of the question"
            assert "prev_total_ms" in again["server_timing"]
            other = await asked(connection, request("go on", size=16))
            assert other["actions"][0, 6] != first["actions"][0, 6]
            resized = await asked(connection, request(size=224))
            assert 0.4 < resized["actions"][0, 0] < 0.6

    served(scene)


def test_an_answer_does_not_depend_on_who_asked_before(served: Callable[..., None]) -> None:
    async def scene(url: str) -> None:
        questions = [request(f"go {number}") for number in range(6)]

        async def run(order: list[int]) -> dict[int, bytes]:
            async with joined(url) as connection:
                await said(connection)
                return {
                    n: (await asked(connection, questions[n]))["actions"].tobytes() for n in order
                }

        one, other = await asyncio.gather(run([0, 1, 2, 3, 4, 5]), run([5, 3, 1, 4, 2, 0]))
        assert one == other

    served(scene)


BAD = {
    "no prompt": (request(prompt=""), "'prompt' must be an instruction"),
    "no picture": (request() | {"observation/image": None}, "'observation/image' must be uint8"),
    "a float picture": (
        request() | {"observation/image": np.zeros((8, 8, 3), np.float32)}, "not float32 [8, 8, 3]",
    ),
    "channels first": (
        request() | {"observation/image": np.zeros((3, 8, 8), np.uint8)}, "not uint8 [3, 8, 8]",
    ),
    "a short state": (request() | {"observation/state": np.zeros(7)}, "must be 8 floats"),
    "NaN": (request() | {"observation/state": np.full(8, np.nan)}, "has nan"),
    "a list": ([1], "a request must be a map"),
    "a policy that raises": (request("raise"), "policy raised ValueError: no such thing"),
    "a policy that answers NaN": (request("nan"), "act() returned nan"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_fault_is_one_line_and_the_next_connection_is_served(
    served: Callable[..., None], what: str
) -> None:
    question, expected = BAD[what]

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await said(connection)
            await connection.send(encode(question))
            text = await connection.recv()
            assert isinstance(text, str) and expected in text, text
            assert "\n" not in text and "/srv/secret" not in text
            with pytest.raises(ConnectionClosedError) as closed:
                await connection.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        async with joined(url) as connection:
            await said(connection)
            assert (await asked(connection, request()))["actions"].shape == (5, 7)

    served(scene)


def test_texts_and_hostile_bytes_close_the_connection(served: Callable[..., None]) -> None:
    async def scene(url: str) -> None:
        for message in ("hello", b"\xc1", msgpack.packb({"x": HOSTILE["objects"]})):
            async with joined(url) as connection:
                await said(connection)
                await connection.send(message)
                assert isinstance(await connection.recv(), str)

    served(scene)


def test_strangers_stay_outside(served: Callable[..., None]) -> None:
    async def scene(url: str) -> None:
        basic = base64.b64encode(b"x:secret").decode()
        allowed = [{"Authorization": "Api-Key secret"}, {"Authorization": f"Basic {basic}"}]
        for headers in allowed:
            async with joined(url, additional_headers=headers) as connection:
                await said(connection)
        async with joined(url.replace("ws://", "ws://x:secret@")) as connection:
            await said(connection)
        good = allowed[0]
        for headers, code in (
            ({}, 401),
            ({"Authorization": "Api-Key secre"}, 401),
            ({"Authorization": "Basic !!"}, 401),
            (good | {"Origin": "http://a.page"}, 403),
            (good | {"Host": "127.0.0.1"}, 403),  # a second one
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with joined(url, additional_headers=headers):
                    pass
            assert refused.value.response.status_code == code, headers
        for host, code in (("a.page", 403), ("127.0.0.1:80", 200)):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":")[-1]))
            writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert f" {code} ".encode() in await reader.readline(), host
            writer.close()

    served(scene, token="secret")


# ---------------------------------------------------------------- the command, with a real policy


@pytest.fixture
def serving() -> Iterator[Callable[..., str]]:
    """Start ``wambench serve`` as a user does; ends it with Ctrl-C, which must be clean."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> str:
        process = subprocess.Popen(
            [*COMMAND, "serve", *arguments, "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        found = re.search(r"(?:openpi|vla-eval|starvla)://([\d.:]+)", process.stdout.readline())
        assert found is not None, process.communicate()[1]
        return f"ws://{found[1]}"

    yield begin
    for process in running:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "stopped\n", "")


@pytest.mark.slow
def test_a_served_policy_answers_as_in_process(serving: Callable[..., str], tmp_path: Path) -> None:
    """To the bit, pictures resized on the way; a policy of our own behind the command."""
    url = serving("nano-pi0", "--option", "noise_seed=3")
    question = request("pick up the milk and place it in the basket", size=224)
    code = """
import json, sys
from pathlib import Path
import numpy as np
from wambench import plugins
from wambench.wire.openpi import decode
from wambench.wire.presets import OPENPI_PANDA
from wambench.wire.reading import observation
policy = plugins.make_policy("nano-pi0", {"noise_seed": 3})
policy.load()
question = decode(Path(sys.argv[1]).read_bytes(), 1 << 26)
(chunk,) = policy.act([observation(question, OPENPI_PANDA, policy.spec, "e", 0, 0)])
print(json.dumps(np.clip(chunk.astype(np.float64), -1, 1).tobytes().hex()))
"""
    (tmp_path / "question").write_bytes(encode(question))
    expected = in_process(code, str(tmp_path / "question"))

    async def scene() -> bytes:
        async with joined(url) as connection:
            await said(connection)
            return bytes((await asked(connection, question))["actions"].tobytes())

    assert asyncio.run(scene()).hex() == expected


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("nano-pi", ("unknown policy 'nano-pi'", "nano-pi0")),
        ("expert", ("policy 'expert' cannot be served", "needs to be told 'expert_action'")),
        ("nano-pi0 --host 0.0.0.0", ("--host 0.0.0.0", "--token-file")),
        ("nano-pi0 --token-file gone", ("'gone'", "cannot be read")),
        ("nano-pi0 --option steps", ("key=value",)),
    ],
)
def test_bad_commands(refused: Refused, words: str, named: tuple[str, ...]) -> None:
    refused("serve", *words.split(), expected=named)


def test_a_taken_port_is_named(wambench: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = wambench("serve", "nano-pi0", "--port", port)
    assert ended.code == 2 and f"cannot listen on 127.0.0.1:{port}" in ended.err


@pytest.mark.slow
def test_openpis_own_client_asks_unmodified(serving: Callable[..., str], tmp_path: Path) -> None:
    """Installed into a folder of its own, without what it wants beside it."""
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    if subprocess.run([*install, str(target), "openpi-client==0.1.2"], check=False).returncode:
        pytest.skip("openpi-client 0.1.2 cannot be had here")
    url = serving("nano-pi0", "--option", "noise_seed=3")
    code = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from wambench.wire.openpi import decode
client = WebsocketClientPolicy(sys.argv[2])
question = decode(open(sys.argv[3], "rb").read(), 1 << 26)
actions = client.infer(question)["actions"]
try:
    client.infer({})
except RuntimeError as error:
    print(json.dumps([actions.tobytes().hex(), str(error)]))
"""
    (tmp_path / "question").write_bytes(encode(request("pick up the milk", size=224)))
    found, error = in_process(code, str(target), url, str(tmp_path / "question"))

    async def ours() -> str:
        async with joined(url) as connection:
            await said(connection)
            answer = await asked(connection, request("pick up the milk", size=224))
            return bytes(answer["actions"].tobytes()).hex()

    assert found == asyncio.run(ours())
    assert "'prompt' must be an instruction" in error
