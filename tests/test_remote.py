"""The policy ``remote`` answers as the policy that is served, and says whose fault a fault is."""

from __future__ import annotations

import dataclasses
import math
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from websockets.sync.server import ServerConnection

from analysis.audit.latency import tables
from tests.wire_servers import Echo, Shifted, own, scripted
from wambench.arithmetic import arithmetic_of
from wambench.cells import PolicyChoice
from wambench.contract import EpisodeStart, Observation, checked_chunk
from wambench.errors import InfrastructureFailure, PolicyFault, PolicyProcessDead, UserError
from wambench.policy_server import answer_batch
from wambench.profile.acting import ANY_ACTION
from wambench.profile.latency.choice import choose
from wambench.profile.latency.hosts import LocalHost
from wambench.profile.latency.protocol import QUICK
from wambench.profile.latency.run import Audit
from wambench.profile.observations import observations
from wambench.wire import openpi, vla_eval
from wambench.wire.remote import RemotePolicy
from wambench.wire.remote.presets import PEERS, translated
from wambench.wire.remote.vla_eval import as_vla_eval

PROTOCOLS = ("openpi", "vla-eval")


def episodes(policy: Any, count: int, instruction: str = "") -> Sequence[Observation]:
    """The first looks of so many episodes, which have begun."""
    seen = [
        dataclasses.replace(
            one, episode=f"e{n}", step=0, instruction=instruction or one.instruction
        )
        for n, one in enumerate(observations(policy.spec, count))
    ]
    for one in seen:
        policy.reset(start_of(one))
    return seen


def start_of(seen: Observation) -> EpisodeStart:
    return EpisodeStart(
        seen.episode, "libero_object", "no such task", seen.instruction, 3, ANY_ACTION, 0
    )


def loaded(url: str, **options: Any) -> RemotePolicy:
    policy = RemotePolicy(url, **{"timeout": 5, "patience": 5} | options)
    policy.load()
    return policy


# ---------------------------------------------------------------- what is answered


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_answers_as_the_policy_that_is_served(protocol: str) -> None:
    with own(protocol) as port:
        policy = loaded(f"{protocol}://127.0.0.1:{port}")
        seen = episodes(policy, 4)
        here = Echo().act(seen)
        there = policy.act(seen)
        assert [one.tobytes() for one in there] == [one.tobytes() for one in here]
        later = [dataclasses.replace(one, step=8, noise_seed=one.noise_seed + 1) for one in seen]
        assert np.array_equal(policy.act(later)[2], Echo().act(later)[2])
        took = policy.measured("e1")
        assert {len(numbers) for numbers in took.values()} == {2}
        assert all(value > 0 for value in took["wire_round_trip_ms"])
        assert took["wire_sent_bytes"][0] > 16 * 16 * 3
        for one in seen:
            policy.forget(one.episode)
        assert policy.measured("e1") == {}


def test_the_server_says_what_it_serves() -> None:
    with own("openpi") as one, own("openpi") as other:
        policies = [RemotePolicy(f"openpi://127.0.0.1:{port}") for port in (one, other)]
        spec = policies[0].spec
        assert (spec.horizon, spec.image_size, spec.track) == (5, (16, 16), "nano")
        identities = [
            PolicyChoice("p", "remote", {"url": policy.options.url, "timeout": n}).identity(policy)
            for n, policy in enumerate(policies, start=1)
        ]
        assert identities[0] == identities[1], "where it is asked is no part of what it is"
        assert identities[0]["fingerprint"]["identity"].startswith("claimed ")
        named = RemotePolicy(f"openpi://127.0.0.1:{one}", identity="echo@1")
        assert named.fingerprint()["identity"] == "echo@1"


def test_several_addresses_share_the_load_and_must_agree() -> None:
    with own("openpi") as one, own("openpi") as other, own("openpi", Shifted) as third:
        urls = [f"openpi://127.0.0.1:{port}" for port in (one, other, third)]
        policy = loaded(",".join(urls[:2]), connections=1)
        assert policy.spec.max_batch == 2
        seen = episodes(policy, 6)
        assert np.array_equal(np.array(policy.act(seen)), np.array(Echo().act(seen)))
        with pytest.raises(UserError, match="answers otherwise than"):
            loaded(urls[0] + "," + urls[2])


def test_the_probe_of_passports_is_asked_of_it_too() -> None:
    with own("openpi") as port:
        first, again = (arithmetic_of(loaded(f"openpi://127.0.0.1:{port}")) for _ in range(2))
        assert first and again and first.answers == again.answers != "not the same twice"
    with own("openpi", Shifted) as port:
        other = arithmetic_of(loaded(f"openpi://127.0.0.1:{port}"))
        assert other and other.answers != first.answers


def test_latency_over_a_socket_is_a_scope_of_its_own(tmp_path: Path) -> None:
    rules = QUICK.model_copy(update={"calls": 10, "least_calls": 10, "warm_up_most_calls": 10})
    with own("openpi") as port:
        choice = choose("remote", {"url": f"openpi://127.0.0.1:{port}"}, None, "eager", rules)
        [record] = Audit(rules, "eager", tmp_path, LocalHost).run([choice])
    assert set(record.scopes) == {"wire"} and record.act_ms() is None
    found = record.times("wire", "warm")
    assert found is not None and found.p50_ms > 0
    (table,) = tables([record], {})
    assert "over a wire, from" in table.title


# ---------------------------------------------------------------- servers that go and come


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_comes_back_costs_nothing_but_time(protocol: str) -> None:
    with own(protocol) as port:
        policy = loaded(f"{protocol}://127.0.0.1:{port}")
        before = policy.act(episodes(policy, 2))
    back: list[AbstractContextManager[int]] = []

    def later() -> None:
        sleep(0.5)
        back.append(own(protocol, port=port))
        back[0].__enter__()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        if protocol == "vla-eval":  # the episode has gone with it, and says so
            (lost,) = answer_batch(policy, [dataclasses.replace(observations(policy.spec, 1)[0],
                                                                episode="e0", step=8)])  # fmt: skip
            assert "lost the episode" in lost.trouble or "closed the connection" in lost.trouble
        seen = episodes(policy, 2)
        after = policy.act(seen)
        assert np.array_equal(before, after)
    finally:
        thread.join()
        back[0].__exit__(None, None, None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_policy_in_its_place_is_seen(protocol: str) -> None:
    with own(protocol) as port:
        policy = loaded(f"{protocol}://127.0.0.1:{port}")
        policy.act(episodes(policy, 1))
        running = dataclasses.replace(episodes(policy, 1)[0], step=0)
        policy.act([running])
    with own(protocol, Shifted, port=port):
        gone = dataclasses.replace(running, step=8)
        answers = answer_batch(policy, [gone])
        if protocol == "vla-eval":
            assert "lost the episode" in answers[0].trouble or "closed" in answers[0].trouble
            answers = answer_batch(policy, episodes(policy, 1))
        assert answers[0].dead and "answers otherwise than before" in answers[0].trouble
        with pytest.raises(PolicyProcessDead):
            answers[0].unwrap()


# ---------------------------------------------------------------- whose fault it is


def answering(answer: bytes | str | Callable[[int], Any], first: Any = None) -> Any:
    """An openpi server that answers the same to everything; a callable gets a number."""

    def talk(connection: ServerConnection) -> None:
        connection.send(openpi.encode({} if first is None else first))
        for number, _ in enumerate(connection):
            said = answer(number) if callable(answer) else answer
            if said is not None:
                connection.send(said)

    return talk


def chunk(rows: int = 10, value: float = 0.5) -> bytes:
    return openpi.encode({"actions": np.full((rows, 7), value)})


def after_loading(bad: bytes | str | None) -> Any:
    """Answers the two probes of ``load``, each over its own connection, and then ``bad``."""
    asked = []

    def answer(number: int) -> Any:
        asked.append(number)
        return chunk() if len(asked) <= 2 else bad

    return answering(answer)


PI05: dict[str, Any] = {"preset": "pi05-libero", "identity": "test"}


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("<html>404</html>", "<html>"),
        ('{"actions": []}', "actions"),
        ("Traceback\n  File\nValueError: no such joint", "ValueError: no such joint"),
    ],
)
def test_a_text_is_the_policys_own_fault(bad: str, named: str) -> None:
    with scripted(after_loading(bad)) as port:
        policy = loaded(f"openpi://127.0.0.1:{port}", **PI05)
        (answer,) = answer_batch(policy, episodes(policy, 1))
        assert answer.fault and named in answer.fault and "\n" not in answer.fault


@pytest.mark.parametrize(
    "said",
    [
        "Traceback\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "Traceback\njaxlib.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying",
        "InfrastructureFailure: the policy's process has gone",
    ],
)
def test_a_machine_that_fails_elsewhere_is_still_a_machine(said: str) -> None:
    with scripted(after_loading(said)) as port:
        policy = loaded(f"openpi://127.0.0.1:{port}", **PI05)
        (answer,) = answer_batch(policy, episodes(policy, 1))
        assert answer.trouble and not answer.fault


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (b"\xc1\xc1\xc1", "no MessagePack"),
        (b"hello", "it begins b'hello'"),
        (b"\x05", "a int instead of a map"),
        (openpi.encode({"actions": 5}) + b"x", "no MessagePack"),
        (b"\x81\xa7actions\x84\xc4\x02nd\xc3\xc4\x04type\xa3<f4\xc4\x04kind\xc4\x00\xc4\x04data\xc4\x00",
         "marked b'nd'"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_answer_are_the_connections_fault(bad: bytes, named: str) -> None:
    with scripted(after_loading(bad)) as port:
        policy = loaded(f"openpi://127.0.0.1:{port}", **PI05)
        (answer,) = answer_batch(policy, episodes(policy, 1))
        assert named in answer.trouble and f"127.0.0.1:{port}" in answer.trouble


@pytest.mark.parametrize(
    "bad",
    [
        openpi.encode({}), openpi.encode({"actions": np.zeros((0, 7))}),
        openpi.encode({"actions": [0.5] * 7}), openpi.encode({"actions": np.zeros((1, 10, 7))}),
        openpi.encode({"actions": np.zeros((10, 7), np.int64)}),
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_the_policys_fault(bad: bytes) -> None:
    with scripted(after_loading(bad)) as port:
        policy = loaded(f"openpi://127.0.0.1:{port}", **PI05)
        (answer,) = answer_batch(policy, episodes(policy, 1))
        assert "chunk" in answer.fault or "actions" in answer.fault


@pytest.mark.parametrize("bad", [chunk(value=math.nan), chunk(11), openpi.encode(
    {"actions": np.zeros((10, 6))})])  # fmt: skip
def test_what_breaks_the_contract_is_refused_as_in_process(bad: bytes) -> None:
    with scripted(after_loading(bad)) as port:
        policy = loaded(f"openpi://127.0.0.1:{port}", **PI05)
        (answer,) = answer_batch(policy, episodes(policy, 1))
        with pytest.raises(PolicyFault):
            checked_chunk(answer.unwrap(), ANY_ACTION, policy.spec.horizon)


def test_a_late_answer_is_never_taken_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is too slow once; then every answer must belong to its question."""
    monkeypatch.setattr("wambench.wire.remote.policy.TRIES", 1)
    asked: list[int] = []

    def talk(connection: ServerConnection) -> None:
        connection.send(openpi.encode({}))
        for message in connection:
            asked.append(1)
            if len(asked) == 3:
                sleep(1.5)
            request = openpi.decode(bytes(message), 1 << 26)
            connection.send(chunk(value=float(request["observation/state"][0])))

    with scripted(talk) as port:
        policy = loaded(f"openpi://127.0.0.1:{port}", timeout=1, connections=1, **PI05)
        slow, prompt = episodes(policy, 2)
        (answer,) = answer_batch(policy, [slow])
        assert "sent nothing for 1 s" in answer.trouble
        (right,) = policy.act([prompt])
        assert right[0, 0] == prompt.proprio["eef_pos"][0]


def test_strangers_end_within_their_time() -> None:
    """Nobody, a server that never speaks, one that is no server of policies."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = monotonic()
        with pytest.raises(InfrastructureFailure, match=r"does not take connections|sent nothing"):
            loaded(f"openpi://127.0.0.1:{port}", timeout=0.5, patience=0.1, **PI05)
        assert monotonic() - began < 10
    with pytest.raises(InfrastructureFailure, match="cannot be reached"):
        loaded(f"openpi://127.0.0.1:{port}", patience=0.3, **PI05)
    with pytest.raises(UserError, match="is the server running"):
        RemotePolicy(f"openpi://127.0.0.1:{port}")

    def talk(stranger: socket.socket) -> None:
        connection, _ = stranger.accept()
        connection.recv(1000)
        connection.sendall(b"220 mail.example ESMTP\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as stranger:
        thread = threading.Thread(target=talk, args=(stranger,))
        thread.start()
        port = stranger.getsockname()[1]
        with pytest.raises(InfrastructureFailure, match="is no WebSocket server"):
            loaded(f"openpi://127.0.0.1:{port}", patience=0.01, **PI05)
        thread.join()


def test_a_proxy_of_the_environment_is_not_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with own("openpi") as port:
        loaded(f"openpi://127.0.0.1:{port}")


def test_a_token_is_shown(tmp_path: Any) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    with own("openpi", token="secret") as port:
        loaded(f"openpi://127.0.0.1:{port}", token_file=str(file))
        with pytest.raises(UserError, match=r"HTTP 401.*token_file"):
            RemotePolicy(f"openpi://127.0.0.1:{port}")


def test_a_server_that_never_says_the_same_twice() -> None:
    values = iter(range(1000))
    with scripted(answering(lambda number: chunk(value=next(values) / 1000))) as port:
        policy = loaded(f"openpi://127.0.0.1:{port}", **PI05)
        assert not policy.repeats
        found = arithmetic_of(policy)
        assert found and found.answers == "not the same twice"


def test_faults_of_a_served_policy_cross_the_wire() -> None:
    for protocol in PROTOCOLS:
        with own(protocol) as port:
            policy = loaded(f"{protocol}://127.0.0.1:{port}")
            (broken,) = answer_batch(policy, episodes(policy, 1, "raise it"))
            assert "ValueError: no such thing" in broken.fault
            (machine,) = answer_batch(policy, episodes(policy, 1, "of memory"))
            assert "MemoryError" in machine.trouble and not machine.fault
            seen = episodes(policy, 1)
            assert np.array_equal(policy.act(seen)[0], Echo().act(seen)[0])
            with pytest.raises(PolicyFault, match="instruction is empty"):
                episodes(policy, 1, "  ")


# ---------------------------------------------------------------- vla-eval


def vla_server(
    hello: dict[str, Any], answer: Callable[[vla_eval.Frame, int], vla_eval.Frame | None]
) -> Any:
    """Says hello, and then what ``answer`` makes of every observation and its number."""

    def talk(connection: ServerConnection) -> None:
        count = 0
        for message in connection:
            frame = vla_eval.decode(bytes(message), 1 << 26)
            if frame.type == "hello":
                said = {"harness_version": "0.8.0", "protocol_version": 1, "capabilities": {}}
                reply = vla_eval.Frame.now("hello", said | hello, frame.seq)
                connection.send(vla_eval.encode(reply))
            elif frame.type == "observation":
                found = answer(frame, count)
                count += 1
                if found is not None:
                    connection.send(vla_eval.encode(found))
            elif frame.type == "episode_start":
                count = 0

    return talk


WANTS = {"observation_params": {"send_wrist_image": True, "send_state": True}}
VLA: dict[str, Any] = {"preset": "vla-eval-libero", "identity": "test"}


def action(frame: vla_eval.Frame, value: Any) -> vla_eval.Frame:
    return vla_eval.Frame.now("action", {"actions": value}, frame.seq)


def test_a_chunk_in_the_server_is_asked_for_without_pictures() -> None:
    pictures: list[bool] = []

    def answer(frame: vla_eval.Frame, count: int) -> vla_eval.Frame:
        pictures.append("images" in frame.payload)
        return action(frame, np.full(7, count / 10))

    with scripted(vla_server(WANTS, answer)) as port:
        policy = loaded(f"vla-eval://127.0.0.1:{port}", **VLA | {"horizon": 4})
        pictures.clear()
        (found,) = policy.act(episodes(policy, 1))
        assert found[:, 0].tolist() == [0, 0.1, 0.2, 0.3] and found[0, 6] == 1.0
        assert pictures == [True, False, False, False]
        assert len(policy.measured("e0")["wire_round_trip_ms"]) == 1


def test_a_chunk_of_another_length_is_named() -> None:
    def answer(frame: vla_eval.Frame, count: int) -> vla_eval.Frame:
        if "images" not in frame.payload and count % 2 == 0:
            return vla_eval.Frame.now("error", {"error": "KeyError: 'images'"}, frame.seq)
        return action(frame, np.zeros(7))

    with (
        scripted(vla_server(WANTS, answer)) as port,
        pytest.raises(UserError, match=r"after 2 of 4 actions.*set horizon"),
    ):
        loaded(f"vla-eval://127.0.0.1:{port}", **VLA | {"horizon": 4})


def test_a_whole_chunk_at_once_is_taken_as_one() -> None:
    with scripted(vla_server(WANTS, lambda frame, _: action(frame, np.zeros((4, 7))))) as port:
        policy = loaded(f"vla-eval://127.0.0.1:{port}", **VLA | {"horizon": 4})
        assert policy.act(episodes(policy, 1))[0].shape == (4, 7)
        with pytest.raises(UserError, match="add horizon: 4"):
            loaded(f"vla-eval://127.0.0.1:{port}", **VLA)


def test_an_answer_to_another_question_is_none() -> None:
    """As after an error at the start of an episode, when every answer belongs to the one before."""
    loads: list[int] = []

    def answer(frame: vla_eval.Frame, count: int) -> vla_eval.Frame:
        loads.append(1)
        late = len(loads) > 2
        return vla_eval.Frame.now("action", {"actions": np.zeros(7)}, frame.seq - late)

    with scripted(vla_server(WANTS, answer)) as port:
        policy = loaded(f"vla-eval://127.0.0.1:{port}", **VLA)
        (found,) = answer_batch(policy, episodes(policy, 1))
        assert "the answer to" in found.trouble


def test_an_error_for_a_hello_is_said_and_the_connection_closed() -> None:
    def talk(connection: ServerConnection) -> None:
        for message in connection:
            seq = vla_eval.decode(bytes(message), 1 << 26).seq
            refusal = vla_eval.Frame.now("error", {"error": "no such\nclient"}, seq)
            connection.send(vla_eval.encode(refusal))

    with (
        scripted(talk) as port,  # which would wait for an open connection for ever
        pytest.raises(UserError, match="refuses: no such client"),
    ):
        loaded(f"vla-eval://127.0.0.1:{port}", **VLA)


@pytest.mark.parametrize(
    ("hello", "named"),
    [
        ({"observation_params": {"env_seed": 0}}, "env_seed=0"),
        ({"observation_params": {"absolute_action": True}}, "absolute_action=True"),
        ({"action_spec": {"rotation": {"format": "euler_xyz"}}}, "rotation is euler_xyz"),
        ({"action_spec": {"gripper": {"format": "binary_close_negative"}}}, "gripper is"),
    ],
)
def test_what_a_server_asks_against_the_protocol_is_refused(
    hello: dict[str, Any], named: str
) -> None:
    with scripted(vla_server(hello, lambda frame, _: action(frame, np.zeros(7)))) as port:
        with pytest.raises(UserError) as refused:
            loaded(f"vla-eval://127.0.0.1:{port}", **VLA)
        assert named in str(refused.value)


@pytest.mark.parametrize("wants", [{}, {"quat_no_antipodal": True}, {"send_state": False}])
def test_the_state_is_sent_as_the_server_asks(wants: dict[str, bool]) -> None:
    seen_by_it: list[dict[str, Any]] = []

    def answer(frame: vla_eval.Frame, _: int) -> vla_eval.Frame:
        seen_by_it.append(dict(frame.payload))
        return action(frame, np.zeros(7))

    hello = {"observation_params": {"send_state": True} | wants}
    with scripted(vla_server(hello, answer)) as port:
        policy = loaded(f"vla-eval://127.0.0.1:{port}", **VLA)
        (seen,) = episodes(policy, 1)
        turn = np.array([3.14057, -0.00155, -0.09140])
        policy.act([dataclasses.replace(seen, proprio={**seen.proprio, "eef_axis_angle": turn})])
    sent = seen_by_it[-1]
    assert list(sent["images"]) == ["agentview"], "it did not ask for the wrist"
    if wants.get("send_state") is False:
        assert "states" not in sent
        return
    expected = turn if wants.get("quat_no_antipodal") else [-3.13996, 0.00155, 0.09138]
    assert np.allclose(sent["states"][3:6], expected, atol=2e-5)


def test_the_flipped_axis_angle_is_the_same_rotation() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        axis = random.normal(size=3)
        turn = axis / np.linalg.norm(axis) * random.uniform(0, 2 * math.pi)
        flipped = as_vla_eval(turn, flipped=True)
        assert np.linalg.norm(flipped) <= math.pi + 1e-6
        assert np.allclose(_matrix(flipped), _matrix(turn), atol=1e-5)
    assert np.array_equal(as_vla_eval(np.zeros(3), True), np.zeros(3))


def _matrix(turn: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(turn).as_matrix())


# ---------------------------------------------------------------- starVLA


def star_server(metadata: dict[str, Any], answer: Callable[[dict[str, Any]], Any]) -> Any:
    def talk(connection: ServerConnection) -> None:
        connection.send(openpi.encode(metadata))
        for message in connection:
            request = openpi.decode(bytes(message), 1 << 26)
            said = {"status": "ok", "ok": True, "type": "inference_result",
                    "request_id": request["request_id"]}  # fmt: skip
            connection.send(openpi.encode(said | answer(request["payload"])))

    return talk


STAR: dict[str, Any] = {"preset": "starvla-libero", "identity": "test"}
ABOUT = {"action_chunk_size": 8, "available_unnorm_keys": ["franka"]}


def test_starvla_is_asked_its_way() -> None:
    payloads: list[dict[str, Any]] = []

    def answer(payload: dict[str, Any]) -> Any:
        payloads.append(payload)
        found = np.zeros((1, 8, 7))
        found[0, 4:, 6] = 1.0
        return {"data": {"actions": found}}

    with scripted(star_server(ABOUT, answer)) as port:
        policy = loaded(f"starvla://127.0.0.1:{port}", **STAR)
        (seen,) = episodes(policy, 1)
        (found,) = policy.act([seen])
        assert found[:, 6].tolist() == [1.0] * 4 + [-1.0] * 4, "1 opens there, -1 here"
    (example,) = payloads[-1]["examples"]
    assert set(example) == {"image", "lang"} and example["lang"] == seen.instruction
    assert np.array_equal(example["image"][0], seen.images["agentview"])
    assert np.array_equal(example["image"][1], seen.images["wrist"])
    known = {"examples", "unnorm_key", "do_sample", "use_ddim", "num_ddim_steps"}
    assert set(payloads[-1]) == known, "an extra key is an error there"


def test_our_own_starvla_server_is_asked_with_the_cells_noise() -> None:
    """All but the gripper to the bit; of that its sign, which is what starVLA's clients take."""
    with own("starvla") as port:
        policy = loaded(f"starvla://127.0.0.1:{port}")
        seen = episodes(policy, 2)
        here, there = np.array(Echo().act(seen)), np.array(policy.act(seen))
        assert np.array_equal(there[..., :6], here[..., :6])
        assert np.array_equal(there[..., 6], np.where(here[..., 6] < 0, -1.0, 1.0))
        (broken,) = answer_batch(policy, episodes(policy, 1, "raise it"))
        assert "ValueError: no such thing" in broken.fault
        (machine,) = answer_batch(policy, episodes(policy, 1, "of memory"))
        assert "MemoryError" in machine.trouble


@pytest.mark.parametrize(
    ("about", "options", "named"),
    [
        ({}, {}, "action_chunk_size is missing"),
        (ABOUT | {"action_chunk_size": 16}, {}, "add horizon: 16"),
        (ABOUT | {"available_unnorm_keys": ["franka", "bridge"]}, {}, "choose one as unnorm_key"),
        (ABOUT, {"unnorm_key": "bridge"}, "are franka, not bridge"),
    ],
)
def test_what_starvla_says_can_contradict(
    about: dict[str, Any], options: dict[str, Any], named: str
) -> None:
    with scripted(star_server(about, lambda _: {})) as port:
        with pytest.raises(UserError) as refused:
            loaded(f"starvla://127.0.0.1:{port}", **STAR | options)
        assert named in str(refused.value)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"ok": False, "status": "error", "error": {"message": "no such key"}}, "no such key"),
        ({"data": {"normalized_actions": np.zeros((1, 8, 7))}}, "before 2026-05"),
        ({"data": {}}, "floats [H, A]"),
    ],
)
def test_starvlas_errors_are_the_policys(said: dict[str, Any], named: str) -> None:
    with scripted(star_server(ABOUT, lambda _: said)) as port:
        with pytest.raises(UserError) as refused:
            loaded(f"starvla://127.0.0.1:{port}", **STAR)
        assert named in str(refused.value)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"url": "http://a"}, "openpi://HOST:PORT"),
        ({"url": "openpi://u:p@a"}, "token_file"),
        ({"url": "openpi://a:99999"}, "port"),
        ({"url": "openpi://a/b"}, "without a path"),
        ({"url": "gr00t+s://a"}, "without TLS"),
        ({"url": []}, "url"),
        ({"url": "openpi://a,vla-eval://b"}, "one protocol"),
        ({"url": "openpi://a,openpi://a:8000"}, "named twice"),
        ({"url": "openpi://a", "timeout": -1}, "timeout"),
        ({"url": "openpi://a", "timeout": 0}, "timeout"),
        ({"url": "openpi://a", "timeout": math.nan}, "timeout"),
        ({"url": "openpi://a", "timeout": math.inf}, "timeout"),
        ({"url": "openpi://a", "connections": 0}, "connections"),
        ({"url": "openpi://a", "preset": "pi05-liberro"}, "pi05-libero"),
        ({"url": "openpi://a", "preset": "starvla-libero"}, "is of starvla"),
        ({"url": "openpi://a", "token_file": "gone", "preset": "pi0-libero"}, "'gone'"),
        ({"url": "openpi://a", "identity": " ", "preset": "pi0-libero"}, "identity"),
        ({"url": "openpi://a", "speed": 3, "preset": "pi0-libero"}, "speed"),
    ],
)
def test_bad_options(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError) as refused:
        RemotePolicy(**options)
    assert named.lower() in str(refused.value).lower() and "\n" not in str(refused.value)


def test_without_pyzmq_a_gr00t_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract can be read all the same; asking says what to install."""
    monkeypatch.setitem(sys.modules, "zmq", None)
    with pytest.raises(UserError, match=r"pyzmq is not installed; pip install 'wambench\[gr00t\]'"):
        loaded("gr00t://127.0.0.1", preset="gr00t-libero")


def test_without_an_identity_nothing_is_kept() -> None:
    policy = RemotePolicy("openpi://127.0.0.1:9", preset="pi05-libero")
    with pytest.raises(UserError, match="add identity"):
        policy.fingerprint()


def test_every_preset_gives_a_contract() -> None:
    for name, peer in PEERS.items():
        spec = RemotePolicy(f"{peer.protocol}://a", preset=name).spec
        assert spec.track == "external" and spec.action is not None, name
        assert spec.orientation == "rotated_180" and spec.cameras == ("agentview", "wrist")


def test_grippers_become_ours() -> None:
    rows = np.array([[0.0, -1.0], [0, -0.2], [0, 0.0], [0, 0.6], [0, 1.0]])
    assert translated(rows, "as_is") is rows
    assert translated(rows, "sign")[:, 1].tolist() == [-1, -1, 1, 1, 1]
    assert translated(rows, "one_opens")[:, 1].tolist() == [1, 1, 1, -1, -1]
