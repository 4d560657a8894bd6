"""Servers of GR00T over ZMQ, scripted: what they are asked, and whose fault a fault is."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from tests.test_remote import episodes, loaded
from wambench.contract import Observation
from wambench.errors import InfrastructureFailure, UserError
from wambench.policy_server import answer_batch
from wambench.wire.gr00t import ACTION, STATE, Packing, decode, encode, observation
from wambench.wire.limits import SERVER_BYTES
from wambench.wire.remote import RemotePolicy

zmq = pytest.importorskip("zmq")

GR00T: dict[str, Any] = {"preset": "gr00t-libero", "identity": "test"}
PROMPT = "annotation.human.action.task_description"
Answer = Callable[[Mapping[str, Any]], Any]


def config(part: str, mark: str, **changes: Any) -> Mapping[str, Any]:
    keys = {"video": ["image", "wrist_image"], "language": [PROMPT]}.get(part, list(ACTION))
    moments = list(range(16)) if part == "action" else [0]
    return {mark: True, "as_json": {"delta_indices": moments, "modality_keys": keys} | changes}


def modalities(mark: str = "__ModalityConfig_class__", **changes: Any) -> Mapping[str, Any]:
    parts = ("video", "state", "action", "language")
    return {part: config(part, mark, **changes.get(part, {})) for part in parts}


def problem(seen: Mapping[str, Any]) -> str | None:
    """What the policies of N1.6 and N1.7 refuse."""
    for name, picture in seen["video"].items():
        if picture.dtype != np.uint8 or picture.ndim != 5 or picture.shape[-1] != 3:
            return f"Video key '{name}' must be (B, T, H, W, C) uint8, got {picture.shape}"
    for name, part in seen["state"].items():
        if part.dtype != np.float32 or part.shape != (1, 1, STATE[name]):
            return f"State key '{name}' must be (B, T, D) float32, got {part.dtype} {part.shape}"
    return None if len(seen["language"][PROMPT][0]) == 1 else "Language must be [[str]]"


def acts(request: Mapping[str, Any]) -> Any:
    """Says what it saw, in a chunk of 16 whose gripper opens in its second half."""
    seen = request["data"]["observation"]
    if trouble := problem(seen):
        return {"error": trouble}
    means = [picture.mean() / 255 for picture in seen["video"].values()]
    told = [*means, *(seen["state"][name][0, 0, 0] for name in ("x", "roll", "pitch", "yaw"))]
    columns = [np.full((1, 16, 1), value, np.float32) for value in told]
    gripper = np.repeat(np.float32([0, 1]), 8).reshape(1, 16, 1)
    return [dict(zip(ACTION, [*columns, gripper], strict=True)), {}]


def expected(seen: Observation) -> np.ndarray:
    state = [seen.proprio["eef_pos"][0], *seen.proprio["eef_axis_angle"]]
    means = [seen.images[name].mean() / 255 for name in ("agentview", "wrist")]
    chunk = np.tile(np.float32([*means, *state, 1]), (16, 1))
    chunk[8:, 6] = -1
    return chunk


@contextlib.contextmanager
def serving(
    act: Answer = acts,
    packing: Packing = "npy",
    about: Any = None,
    port: int = 0,
    token: str | None = None,
) -> Iterator[int]:
    """A REP socket in a thread; bytes and lists of bytes are sent as they are. Gives its port."""
    fixed = {
        "ping": {"status": "ok", "message": "Server is running"},
        "get_modality_config": modalities() if about is None else about,
    }

    def said(request: Mapping[str, Any]) -> Any:
        if token is not None and request.get("api_token") != token:
            return {"error": "Unauthorized: Invalid API token"}
        endpoint = request["endpoint"]
        return fixed[endpoint] if endpoint in fixed else act(request)

    stop = threading.Event()
    with zmq.Context() as context, context.socket(zmq.REP) as server:
        server.setsockopt(zmq.LINGER, 0)
        server.bind(f"tcp://127.0.0.1:{port or '*'}")
        bound = int(server.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])

        def run() -> None:
            while not stop.is_set():
                if not server.poll(50):
                    continue
                found = said(decode(server.recv(), SERVER_BYTES))
                is_raw = isinstance(found, list) and isinstance(found[0], bytes)
                server.send_multipart(
                    [
                        part if isinstance(part, bytes) else encode(part, packing)
                        for part in (found if is_raw else [found])
                    ]
                )

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield bound
        finally:
            stop.set()
            thread.join()


def url(port: int) -> str:
    return f"gr00t://127.0.0.1:{port}"


# ---------------------------------------------------------------- what is asked and answered


@pytest.mark.parametrize(
    ("packing", "mark"), [("npy", "__ModalityConfig_class__"), ("nd", "__ModalityConfig__")]
)
def test_every_version_is_asked_its_way(packing: Packing, mark: str) -> None:
    """N1.6 packs arrays as files, N1.7 as msgpack-numpy does; both read files."""
    requests: list[Mapping[str, Any]] = []

    def answer(request: Mapping[str, Any]) -> Any:
        requests.append(request)
        return acts(request)

    with serving(answer, packing, modalities(mark)) as port:
        policy = loaded(url(port), **GR00T)
        assert policy.repeats and policy.spec.replan_steps == 8
        for seen in (looks := episodes(policy, 5)):
            assert seen.images["agentview"].shape == (256, 256, 3)
        for seen, chunk in zip(looks, policy.act(looks), strict=True):
            assert np.array_equal(chunk, expected(seen))
        assert policy.measured("e1")["wire_sent_bytes"][0] > 2 * 256 * 256 * 3
    last = requests[-1]
    assert list(last) == ["endpoint", "data"] and last["data"]["options"] is None
    fingers = last["data"]["observation"]["state"]["gripper"]
    assert fingers.shape == (1, 1, 2) and fingers[0, 0, 0] > 0 > fingers[0, 0, 1]


def without_time(found: Any) -> Any:
    return found | {"video": {name: one[:, 0] for name, one in found["video"].items()}}


def in_float64(found: Any) -> Any:
    state = {name: one.astype(np.float64) for name, one in found["state"].items()}
    return found | {"state": state}


@pytest.mark.parametrize(
    ("change", "named"), [(without_time, "(B, T, H, W, C)"), (in_float64, "float32, got float64")]
)
def test_another_layout_is_refused_by_the_server(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any], named: str
) -> None:
    """So a layout that is accepted is the right one."""
    ours = "wambench.wire.remote.gr00t.observation"
    monkeypatch.setattr(ours, lambda *given: change(observation(*given)))
    with serving() as port, pytest.raises(UserError) as refused:
        loaded(url(port), **GR00T)
    assert named in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"action": {"delta_indices": list(range(40))}}, "add horizon: 40"),
        ({"action": {"modality_keys": ["arm", "gripper"]}}, "action modality_keys is ['arm'"),
        ({"video": {"modality_keys": ["image", "left"]}}, "['left'], which is not sent"),
        ({"video": {"delta_indices": [-15, 0]}}, "delta_indices is [-15, 0]; only [0]"),
        ({"state": {"modality_keys": ["joints"]}}, "state modality_keys has ['joints']"),
        ({"language": {"modality_keys": ["task"]}}, "language modality_keys has ['task']"),
    ],
)
def test_what_it_is_made_of_can_contradict(changes: dict[str, Any], named: str) -> None:
    with serving(about=modalities(**changes)) as port:
        with pytest.raises(UserError) as refused:
            loaded(url(port), **GR00T)
        assert named in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_not_said_does_not_contradict() -> None:
    with serving(about={"video": {"delta_indices": [0]}}) as port:
        assert loaded(url(port), **GR00T).repeats


# ---------------------------------------------------------------- whose fault it is


def test_errors_are_the_policys_or_the_machines() -> None:
    def answer(request: Mapping[str, Any]) -> Any:
        text = request["data"]["observation"]["language"][PROMPT][0][0]
        return {"error": text} if "error" in text else acts(request)

    with serving(answer) as port:
        policy = loaded(url(port), **GR00T)
        (broken,) = answer_batch(policy, episodes(policy, 1, "an error\nof /srv/a/b.py"))
        assert broken.fault and "says: an error of b.py" in broken.fault
        (machine,) = answer_batch(policy, episodes(policy, 1, "error: CUDA out of memory"))
        assert machine.trouble and not machine.fault
        (seen,) = episodes(policy, 1)
        assert np.array_equal(policy.act([seen])[0], expected(seen))


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (b"ERROR", "it begins b'ERROR'"),
        (b"\xc1", "no MessagePack"),
        ([b"\x80", b"\x80"], "2 parts instead of one"),
        (encode({"__ndarray_class__": True, "as_npy": b"cos\nsystem\n"}), "no .npy file"),
    ],
)
def test_bytes_that_are_no_answer_are_the_connections_fault(bad: Any, named: str) -> None:
    asked: list[int] = []

    def answer(request: Mapping[str, Any]) -> Any:
        asked.append(1)
        return acts(request) if len(asked) <= 2 else bad

    with serving(answer) as port:
        policy = loaded(url(port), patience=0.1, **GR00T)
        (found,) = answer_batch(policy, episodes(policy, 1))
        assert named in found.trouble and f"127.0.0.1:{port}" in found.trouble


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ([{}, {}], "x as nothing"),
        ({"x": 1.0}, "x as 1.0"),
        ({name: np.zeros((1, 0, 1)) for name in ACTION}, "an empty chunk"),
        ({name: np.zeros((1, 8, 1)) for name in ACTION}, "add horizon: 8"),
    ],
)
def test_what_is_no_chunk_is_the_policys_fault(said: Any, named: str) -> None:
    with serving(lambda request: said) as port:
        with pytest.raises(UserError) as refused:
            loaded(url(port), **GR00T)
        assert named in str(refused.value)


def test_a_late_answer_is_never_taken_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket that waited in vain is left; the next question has one of its own."""
    monkeypatch.setattr("wambench.wire.remote.policy.TRIES", 1)
    asked: list[int] = []

    def answer(request: Mapping[str, Any]) -> Any:
        asked.append(1)
        if len(asked) == 3:
            sleep(1.5)
        return acts(request)

    with serving(answer) as port:
        policy = loaded(url(port), connections=1, **GR00T | {"timeout": 1})
        slow, prompt = episodes(policy, 2)
        (late,) = answer_batch(policy, [slow])
        assert "sent nothing for 1 s" in late.trouble
        assert np.array_equal(policy.act([prompt])[0], expected(prompt))


def test_a_server_that_comes_back_is_asked_again() -> None:
    with serving() as port:
        policy = loaded(url(port), **GR00T)
        policy.act(episodes(policy, 2))
    back: list[Any] = []

    def later() -> None:
        sleep(0.5)
        back.append(serving(port=port))
        back[0].__enter__()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        for seen, chunk in zip(looks := episodes(policy, 2), policy.act(looks), strict=True):
            assert np.array_equal(chunk, expected(seen))
    finally:
        thread.join()
        back[0].__exit__(None, None, None)


def test_another_policy_in_its_place_is_seen() -> None:
    """ZMQ alone would connect again and say nothing."""

    def other(request: Mapping[str, Any]) -> Any:
        return {name: np.full((1, 16, 1), 0.25, np.float32) for name in ACTION}

    with serving() as port:
        policy = loaded(url(port), **GR00T)
        policy.act(episodes(policy, 1))
    with serving(other, port=port):
        (found,) = answer_batch(policy, episodes(policy, 1))
        assert found.dead and "answers otherwise than before" in found.trouble


def test_a_token_is_shown(tmp_path: Any) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    with serving(token="secret") as port:
        loaded(url(port), token_file=str(file), **GR00T)
        with pytest.raises(UserError, match=r"Unauthorized.*token_file"):
            loaded(url(port), **GR00T)


def test_strangers_end_within_their_time() -> None:
    """Nobody, one that never speaks, one that is no server of ZMQ, one of another kind."""
    began = monotonic()
    brief = GR00T | {"timeout": 0.5, "patience": 0.1}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(InfrastructureFailure, match="is no ZMQ server"):
            loaded(url(port), **brief)
    with pytest.raises(InfrastructureFailure, match="cannot be reached"):
        loaded(url(port), **brief)
    with pytest.raises(UserError, match="is the server running"):
        RemotePolicy(url(port))
    with pytest.raises(InfrastructureFailure, match="does not take connections"):
        loaded("gr00t://no.such.host.invalid", **brief)

    def talk(stranger: socket.socket) -> None:
        connection, _ = stranger.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as stranger:
        thread = threading.Thread(target=talk, args=(stranger,))
        thread.start()
        with pytest.raises(InfrastructureFailure, match="is no ZMQ server"):
            loaded(url(stranger.getsockname()[1]), **brief | {"patience": 0.01})
        thread.join()
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(InfrastructureFailure, match=r"is no ZMQ server|closed the connection"):
            loaded(url(port), **brief)
    assert monotonic() - began < 15


def test_without_a_preset_it_says_nothing_of_itself() -> None:
    with serving() as port, pytest.raises(UserError, match=r"name a preset \(gr00t-libero\)"):
        RemotePolicy(url(port))


def test_who_ends_a_connection_waits_for_who_uses_it() -> None:
    """A socket of ZMQ's that is closed under another thread ends the process."""
    with serving(lambda request: sleep(0.3) or acts(request)) as port:
        policy = loaded(url(port), **GR00T)
        (guard,) = policy._guards.values()
        session = guard.session
        assert session is not None
        (seen,) = episodes(policy, 1)
        start = policy._episodes[seen.episode].start
        told: list[Any] = []
        ask = threading.Thread(
            target=lambda: told.append(session.ask(seen, start, policy.terms).chunk)
        )
        ask.start()
        sleep(0.1)
        session.end()
        ask.join()
        assert session.connection.closed and np.shape(told[0]) == (16, 7)
        later = dataclasses.replace(seen, step=8)
        assert np.array_equal(policy.act([later])[0], expected(later))
