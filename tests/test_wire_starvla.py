"""starVLA's wire: recorded messages, envelopes, examples, and the gripper its clients expect."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from tests.conftest import Refused
from tests.test_wire_openpi import Echo, request, serving  # noqa: F401
from tests.wired import WIRES, acts, example, joined, play, recorded
from wambench.errors import UserError
from wambench.wire.limits import SERVER_BYTES, WireError
from wambench.wire.openpi import decode, encode
from wambench.wire.starvla import Request, examples

STARVLA = WIRES["starvla"]


class Blind(Echo):
    """Needs no state, as the policies that starVLA's LIBERO client asks; of whatever size."""

    spec = Echo.spec.model_copy(update={"proprio": (), "image_size": None})

    def _one(self, seen: Any) -> Any:
        if "raise" in seen.instruction:
            raise ValueError("no\nsuch thing in /srv/secret/place.py")
        pictures = [seen.images[name].mean() / 255 for name in self.spec.cameras]
        row = [*pictures, 0, 0, seen.noise_seed % 1000 / 1000, 0, len(seen.instruction) / 100]
        return np.tile(np.array(row), (5, 1))


async def said(connection: ClientConnection) -> Any:
    return decode(bytes(await connection.recv(decode=False)), SERVER_BYTES)


async def asked(connection: ClientConnection, message: Any) -> Any:
    await connection.send(encode(message))
    return await said(connection)


async def told(connection: ClientConnection, message: Any) -> str:
    """The fault of a message; the connection must go on."""
    found = await asked(connection, message)
    assert (found["status"], found["ok"], set(found["error"])) == ("error", False, {"message"})
    text = str(found["error"]["message"])
    assert "\n" not in text
    return text


def test_recorded_requests_are_answered_as_they_were() -> None:
    """Same status, type and number for each, in the same order of fields; not the same actions."""
    questions = list(recorded("starvla_ws.jsonl", "c2s"))
    _, *answers = (decode(m, SERVER_BYTES) for m in recorded("starvla_ws.jsonl", "s2c"))
    assert len(questions) == len(answers) == 8

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await said(connection)
            for question, expected in zip(questions, answers, strict=True):
                await connection.send(question)
                found = await said(connection)
                assert list(found) == list(expected)
                for field in ("status", "ok", "type", "request_id"):
                    assert found[field] == expected[field]
                if found["type"] == "inference_result" and found["ok"]:
                    batch = expected["data"]["actions"].shape[0]
                    assert found["data"]["actions"].shape == (batch, 5, 7)

    play(STARVLA, scene, Blind)


def test_the_server_speaks_first() -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            about = await said(connection)
            theirs = decode(next(recorded("starvla_ws.jsonl", "s2c")), SERVER_BYTES)
            assert set(theirs) - set(about) == {"training_data_mix"}
            assert about["action_chunk_size"] == 5 and about["training_obs_image_size"] == [16, 16]
            assert about["default_unnorm_key"] in about["available_unnorm_keys"]
            assert about["action_keys"] == theirs["action_keys"]
            named = ["eef_pos", "eef_axis_angle", "gripper_qpos"]
            assert about["state_keys"] == [f"state.{name}" for name in named]
            assert about["wambench"]["preset"]["images"] == {
                "agentview": "image/0", "wrist": "image/1"
            }  # fmt: skip

    play(STARVLA, scene)


def test_flat_or_enveloped_alone_or_together_the_answer_is_the_same() -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await said(connection)
            seen = [example("go", size=16), example("go on", size=20), example("stop", size=16)]
            together = await asked(connection, {"examples": seen})
            assert together["data"]["actions"].shape == (3, 5, 7)
            assert together["data"]["actions"].dtype == np.float64
            alone = []
            for number, one in enumerate(seen):
                envelope = {
                    "type": "predict_action", "request_id": number, "payload": {"examples": [one]}
                }  # fmt: skip
                found = await asked(connection, envelope)
                assert found["request_id"] == number and found["type"] == "inference_result"
                alone.append(found["data"]["actions"][0])
            assert np.array_equal(together["data"]["actions"], alone)
            state = seen[0]["state"]
            assert np.array_equal(alone[0][0, 2:5], state[:3]) and alone[0][0, 5] == state[6]

    play(STARVLA, scene)


def test_what_clients_apply_to_the_gripper_is_ours() -> None:
    """They want 1 = open and apply 1 - 2 (v > 0.5); ours is -1 opens."""
    ours = np.zeros((5, 7))
    ours[:, 0], ours[:, 6] = [0.1, 0.2, 0.3, 0.4, 0.5], [-1, 1, -0.2, 0.2, -2]

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await said(connection)
            (found,) = (await asked(connection, {"examples": [example()]}))["data"]["actions"]
            assert found[:, 6].tolist() == pytest.approx([1, 0, 0.6, 0.4, 1])
            applied = 1 - 2 * (found[:, 6] > 0.5)
            assert applied.tolist() == [-1, 1, -1, 1, -1]
            assert np.array_equal(found[:, :6], ours[:, :6])

    play(STARVLA, scene, acts(ours))


def one(**changes: Any) -> dict[str, Any]:
    return {"examples": [{k: v for k, v in (example() | changes).items() if v is not None}]}


PICTURE = np.zeros((16, 16, 3), np.uint8)
BAD: dict[str, tuple[Any, str]] = {
    "no state": (one(state=None), "example 0: 'state' must be 8 floats, not nothing"),
    "a short state": (one(state=np.zeros(7)), "'state' must be 8 floats, not float64 [7]"),
    "NaN": (one(state=np.full(8, np.nan)), "'state' has nan"),
    "one camera of two": (one(image=[PICTURE]), "'image/1' must be uint8 [H, W, 3], not nothing"),
    "three cameras": (one(image=[PICTURE] * 3), "'image' must be a list of agentview, wrist"),
    "no pictures": (one(image=None), "'image' must be a list of agentview, wrist, not nothing"),
    "no prompt": (one(lang=" "), "'lang' must be an instruction, not ' '"),
    "the second example": (
        {"examples": [example(), {"image": []}]}, "example 1: 'lang' must be an instruction",
    ),
    "no examples": ({}, "'examples' must be a list of 1 to 64 maps, not nothing"),
    "none": ({"examples": []}, "'examples' must be a list of 1 to 64 maps, not []"),
    "too many": ({"examples": [{}] * 65}, "not a list of 65"),
    "an example that is none": ({"examples": ["x"]}, "an example must be a map, not 'x'"),
    "another's statistics": (
        one() | {"unnorm_key": "bridge"}, "'unnorm_key' is 'bridge'; available: 'franka'",
    ),
    "statistics of an odd kind": (one() | {"unnorm_key": np.zeros(3)}, "is float64 [3]; available"),
    "an unknown keyword": (one() | {"temperature": 1}, "'temperature' is no keyword"),
    "openpi's request": (request(), "'observation/image' is no keyword"),
    "a payload that is none": ({"payload": [1]}, "the payload must be a map, not a list"),
    "an unknown type": ({"type": "reset"}, "a message of type 'reset'; infer and ping are known"),
    "a type of an odd kind": ({"type": np.zeros(2)}, "a message of type float64 [2]"),
    "a policy that raises": (one(lang="raise"), "policy raised ValueError: no such thing"),
    "a policy that answers NaN": (one(lang="nan"), "act() returned nan"),
}  # fmt: skip


def test_faults_are_said_and_the_connection_goes_on() -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await said(connection)
            for what, (message, expected) in BAD.items():
                text = await told(connection, message)
                assert expected in text and "/srv" not in text, (what, text)
                assert (await asked(connection, {"type": "ping"}))["ok"]
            for key in (None, "franka"):
                assert (await asked(connection, one() | {"unnorm_key": key}))["ok"]

    play(STARVLA, scene)


@pytest.mark.parametrize("message", [b"\xc1", "hello", b"\x91\x01", b"\x05"])
def test_what_is_no_map_closes_the_connection(message: bytes | str) -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await said(connection)
            await connection.send(message)
            text = await connection.recv()
            assert isinstance(text, str) and "\n" not in text
            with pytest.raises(ConnectionClosedError) as closed:
                await connection.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        async with joined(url) as connection:
            await said(connection)
            assert (await asked(connection, one()))["ok"]

    play(STARVLA, scene)


def test_clients_get_the_actions_that_the_policy_means_to_execute() -> None:
    """They execute all that they get; a shorter chunk would end their list early."""

    class Two(Echo):
        spec = Echo.spec.model_copy(update={"replan_steps": 2})

        def _one(self, seen: Any) -> Any:
            return super()._one(seen)[: 1 if "short" in seen.instruction else 5]

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            assert (await said(connection))["action_chunk_size"] == 2
            assert (await asked(connection, one()))["data"]["actions"].shape == (1, 2, 7)
            short = await told(connection, one(lang="short"))
            assert "act() returned 1 of the 2 actions clients expect" in short

    play(STARVLA, scene, Two)


class Remembers(Echo):
    """Says how often it was asked in the episode."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def reset(self, start: Any) -> None:
        self.asked[start.episode] = 0

    def _one(self, seen: Any) -> Any:
        self.asked[seen.episode] += 1
        return super()._one(seen) * 0 + self.asked[seen.episode] / 10


def test_a_policy_with_a_memory_needs_a_connection_an_episode() -> None:
    async def scene(url: str) -> None:
        for _ in range(2):
            async with joined(url) as connection:
                await said(connection)
                for count in (1, 2):
                    found = await asked(connection, one())
                    assert found["data"]["actions"][0, 0, 0] == pytest.approx(count / 10)
                text = await told(connection, {"examples": [example(), example()]})
                assert "2 examples, where a connection is one episode" in text

    with pytest.raises(UserError, match="--episode-per-connection"):
        play(STARVLA, scene, Remembers)
    play(STARVLA, scene, Remembers, episode_per_connection=True)


def test_only_maps_are_requests() -> None:
    with pytest.raises(WireError, match="must be a map"):
        Request.of([1])
    assert Request.of({"request_id": [1] * 1000}).number == "default"
    assert list(examples({"examples": [{"image": [1, 2]}]})[0]) == ["image", "image/0", "image/1"]


def test_the_command(serving: Any) -> None:  # noqa: F811
    """A policy that needs no state and no pictures, so that any client's request will do."""
    url = serving("frozen", "--protocol", "starvla", "--episode-per-connection")

    async def scene() -> None:
        async with joined(url) as connection:
            assert (await said(connection))["wambench"]["policy"] == "frozen"
            for question in recorded("starvla_ws.jsonl", "c2s"):
                await connection.send(question)
                await said(connection)
            found = await asked(connection, one(state=None))
            assert found["data"]["actions"].shape[0] == 1

    asyncio.run(scene())


def test_a_policy_that_must_be_told_more_is_refused(refused: Refused) -> None:
    words = ("policy 'expert' cannot be served", "needs to be told 'expert_action'")
    refused("serve", "expert", "--protocol", "starvla", expected=words)
