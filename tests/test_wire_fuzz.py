"""Two hundred thousand broken messages: every one ends in an answer or a refusal, soon and small.

A frame that fails is printed in hex with its number; what was found so is kept as a small test.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgpack
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.test_wire_openpi import Echo
from tests.wire_mutations import Mutations, nested, pixels
from tests.wired import RECORDED, WIRES, Wire, joined, play, recorded
from wambench.wire import openpi, starvla, vla_eval
from wambench.wire.limits import SERVER_BYTES, WireError
from wambench.wire.reading import observation

FRAMES, SAMPLE = 200_000, 20_000
CPU_S = 2  # that one frame may take; a few milliseconds are usual
WALL_S = 20  # that one frame may take through a server on a busy machine
GROWTH_MB = 150  # that the process may grow by, at its highest
PROBE = 1 << 40  # seq of a hello that only asks whether the server lives


def seeds() -> list[bytes]:
    """Everything recorded, and one good question of each protocol."""
    found = [m for file in sorted(RECORDED.glob("*.jsonl")) for m in recorded(file.name)]
    return found + [wire.question("go", size=8) for wire in WIRES.values()]


@contextmanager
def within(what: str, message: bytes) -> Iterator[None]:
    """Fails, with the frame in hex, if something is raised or takes longer than ``CPU_S``."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"longer than {CPU_S} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S)
    try:
        yield
    except Exception as error:
        pytest.fail(f"{what}: {error!r}: bytes.fromhex({message[:4000].hex()!r})")
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def small() -> Iterator[None]:
    """Fails if the process grows by more than ``GROWTH_MB`` meanwhile (Linux counts)."""

    def mb(field: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))

    try:
        Path("/proc/self/clear_refs").write_text("5")  # its highest so far is forgotten
    except OSError:
        yield
        return
    before = mb("VmRSS")
    yield
    assert mb("VmHWM") - before < GROWTH_MB, f"it grew by {mb('VmHWM') - before:.0f} MB"


def through_decoders(message: bytes) -> list[str]:
    """All that servers do with a message before they ask the policy; what was refused."""
    refused = []
    for read in (_openpi, _starvla, _vla_eval):
        try:
            read(message)
        except WireError as error:
            refused.append(str(error))
    return refused


def _openpi(message: bytes) -> None:
    request = openpi.decode(message, SERVER_BYTES)
    openpi.encode(request)
    observation(request, WIRES["openpi"].preset, Echo.spec, "e", 0, 0)


def _starvla(message: bytes) -> None:
    request = starvla.Request.of(openpi.decode(message, SERVER_BYTES))
    for example in starvla.examples(request.payload):
        openpi.encode(example)
        observation(example, WIRES["starvla"].preset, Echo.spec, "e", 0, 0)
    openpi.encode(starvla.fault(request, request.named))


def _vla_eval(message: bytes) -> None:
    frame = vla_eval.decode(message, SERVER_BYTES)
    images = frame.payload.get("images")
    flat = {f"images/{k}": v for k, v in images.items()} if isinstance(images, dict) else {}
    observation({**frame.payload, **flat}, WIRES["vla-eval"].preset, Echo.spec, "e", 0, 0)


@pytest.mark.slow
def test_mutated_frames_end_in_an_answer_or_a_refusal(sample: bool) -> None:
    decoded(range(SAMPLE if sample else FRAMES))


def test_some_mutated_frames_end_in_an_answer_or_a_refusal() -> None:
    decoded(range(FRAMES, FRAMES + 3000))


def decoded(numbers: range) -> None:
    """Show frames to the decoders."""
    mutated, refused = Mutations(seeds()), 0
    with small():
        for number in numbers:
            message = mutated(number)
            with within(f"frame {number}", message):
                told = through_decoders(message)
                assert all(text.isprintable() and len(text) < 300 for text in told), told
            refused += len(told) == 3
    assert refused > len(numbers) / 2, "most are broken, or the mutations are not"


def test_a_frame_is_the_same_every_time() -> None:
    one, other = Mutations(seeds()), Mutations(seeds())
    assert [one(n) for n in range(300)] == [other(n) for n in range(300)]


# ---------------------------------------------------------------- through living servers


class Faults(logging.Handler):
    """Collects what a server logs when a connection's code raises what nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(f"{record.getMessage()}: {record.exc_info and record.exc_info[1]!r}")


async def survived(wire: Wire, connection: ClientConnection, message: bytes) -> bool:
    """Send a frame; whether the connection goes on, once the server has answered or closed it."""
    await connection.send(message)
    if wire is not WIRES["openpi"]:  # some frames get no answer there; a probe does
        await connection.send(PROBES[wire.speaks])
    try:
        while True:
            answer = await connection.recv()
            if wire is WIRES["openpi"]:
                return not isinstance(answer, str)
            if isinstance(answer, bytes) and _is_probe(wire, answer):
                return True
    except ConnectionClosed:
        return False


PROBES = {
    True: openpi.encode({"type": "ping", "request_id": PROBE}),
    False: vla_eval.encode(vla_eval.Frame.now("hello", {}, PROBE)),
}


def _is_probe(wire: Wire, answer: bytes) -> bool:
    if wire.speaks:
        return bool(openpi.decode(answer, SERVER_BYTES)["request_id"] == PROBE)
    return vla_eval.decode(answer, SERVER_BYTES).seq == PROBE


def feed(wire: Wire, messages: Sequence[bytes]) -> None:
    """Send frames to a server, on as few connections as it lets go on; then ask it something."""
    faults = Faults()

    async def scene(url: str) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: faults.found.append(str(context))
        )
        left = list(enumerate(messages))
        while left:
            async with joined(url) as connection:
                await wire.begin(connection)
                is_open = True
                while left and is_open:
                    number, message = left.pop(0)
                    try:
                        asking = survived(wire, connection, message)
                        is_open = await asyncio.wait_for(asking, WALL_S)
                        assert not faults.found, faults.found
                    except Exception as error:
                        pytest.fail(f"{number}: {error!r}: bytes.fromhex({message.hex()!r})")
        async with joined(url) as connection:
            await wire.begin(connection)
            assert not isinstance(await wire.ask(connection), str)

    logging.getLogger("websockets.server").addHandler(faults)
    try:
        with small():
            play(wire, scene, limit_s=600)
    finally:
        logging.getLogger("websockets.server").removeHandler(faults)
    assert not faults.found


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_servers_survive_mutated_frames(wire: Wire) -> None:
    mutated = Mutations(seeds())
    feed(wire, [mutated(number) for number in range(150)])


@pytest.mark.slow
@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_servers_survive_thousands_of_mutated_frames(wire: Wire, sample: bool) -> None:
    mutated = Mutations(seeds())
    feed(wire, [mutated(FRAMES + number) for number in range(500 if sample else 2000)])


# ---------------------------------------------------------------- what was found, and bombs


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_who_sends_on_is_still_hung_up_on(wire: Wire) -> None:
    """A server that reads no more, as two messages wait, would not hear the peer's own close."""

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await wire.begin(connection)
            with pytest.raises(ConnectionClosed):
                for _ in range(50):
                    await connection.send(b"\xc1" + b"\0" * 10_000)
                while True:
                    await asyncio.wait_for(connection.recv(), 5)

    play(wire, scene)


def test_a_reason_in_long_letters_fits_a_closing_frame() -> None:
    named = b"\xd9\x78" + "日".encode() * 40
    feed(WIRES["vla-eval"], [vla_evals({}).replace(b"\xabobservation", named)])


def picture(side: int) -> dict[str, Any]:
    return {"__image__": True, "format": "png", "data": pixels(side), "shape": [side, side, 1]}


def vla_evals(payload: Any) -> bytes:
    return bytes(
        msgpack.packb({"type": "observation", "payload": payload, "seq": 1, "timestamp": 0.0})
    )


MEGA = 1 << 20
BOMBS: dict[str, Callable[[], bytes]] = {
    "millions of empty maps": lambda: b"\xdd\x00\x80\x00\x00" + b"\x80" * (8 * MEGA),
    "lists of lists of nothing": lambda: msgpack.packb([[[]] * 4000] * 1000),
    "lists that declare all there is": lambda: b"\xdd\x00\x7f\xff\xff" * 1000 + b"\0" * (8 * MEGA),
    "maps that declare all there is": lambda: (
        b"\xdf\x00\x3f\xff\xff\xa1x" * 1000 + b"\0" * (8 * MEGA)
    ),
    "one key a million times": lambda: b"\xdf\x00\x10\x00\x00" + b"\xa1x\0" * MEGA,
    "depth": lambda: msgpack.packb(nested(500, 0, maps=True)),
    "long text": lambda: msgpack.packb({"x": "y" * (16 * MEGA)}),
    "a shape of bytes": lambda: msgpack.packb(
        {"x": {b"__ndarray__": True, b"data": b"", b"dtype": "<f4", b"shape": [b"x" * (16 * MEGA)]}}
    ),
    "bytes as a prompt": lambda: msgpack.packb({"prompt": b"\0" * (32 * MEGA), "lang": 1}),
    "pictures of many pixels": lambda: vla_evals([picture(4000)] * 40),
    "bytes as a description": lambda: vla_evals({"task_description": b"\0" * (32 * MEGA)}),
    "bytes as a type": lambda: msgpack.packb({"type": b"\0" * (32 * MEGA), "payload": {}}),
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_are_refused_before_they_grow(what: str) -> None:
    """Millions of values took ten seconds and gigabytes; so did pictures of many pixels."""
    message = BOMBS[what]()
    with small(), within(what, message[:100]):
        assert len(through_decoders(message)) == 3


def test_a_list_that_is_too_long_is_told_so() -> None:
    with pytest.raises(WireError, match=r"no MessagePack \(ValueError 5000 exceeds .*4096"):
        openpi.decode(msgpack.packb([0] * 5000), SERVER_BYTES)
