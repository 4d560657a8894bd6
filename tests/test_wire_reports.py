"""Public reports about such servers and codecs, each with the test that holds it here.

Tests of other files stand by their file.

===================================  =============================================================
report                               test
===================================  =============================================================
openpi 717, PR 938                   test_others_are_answered_while_a_policy_thinks
openpi 579                           test_remote: test_strangers_end_within_their_time,
                                     test_a_proxy_of_the_environment_is_not_for_it
hume 15                              test_remote: test_strangers_end_within_their_time
openpi 991, PR 866                   test_nothing_of_a_peer_is_imported
vllm-omni 4506, PR 6051              test_foreign_marks_are_named; vectors in test_wire_openpi
msgpack-numpy 57                     test_wire_openpi, test_wire_gr00t:
                                     test_hostile_messages_are_refused_in_one_line
msgpack-numpy 40, strands PR 1195    test_arrays_are_writable_copies
lerobot 3047                         test_nothing_is_unpickled_or_evaluated
strands PR 3321                      test_remote: test_a_late_answer_is_never_taken_for_the_next
strands PR 3677                      test_what_other_programs_say_is_refused; test_remote:
                                     test_a_text_is_the_policys_own_fault,
                                     test_bytes_that_are_no_answer_are_the_connections_fault
strands 1986                         test_remote: test_bad_options
strands 187, 169                     test_an_empty_prompt_is_refused; test_remote:
                                     test_faults_of_a_served_policy_cross_the_wire
strands PR 149, 148                  test_wire_gr00t: test_the_layout_is_that_of_every_version;
                                     test_remote_gr00t:
                                     test_another_layout_is_refused_by_the_server
strands PR 168                       test_one_finger_sent_twice_is_refused
strands PR 3620                      test_an_empty_chunk_is_a_fault; test_remote:
                                     test_what_is_no_chunk_is_the_policys_fault
strands PR 3870                      test_the_same_question_gets_the_same_answer; test_remote:
                                     test_a_server_that_never_says_the_same_twice
Psi0 95                              test_every_answer_belongs_to_its_question,
                                     test_who_leaves_early_harms_nobody; test_remote:
                                     test_a_late_answer_is_never_taken_for_the_next
vla-eval PR 16                       test_another_convention_is_refused; test_wire_starvla:
                                     test_what_clients_apply_to_the_gripper_is_ours; test_remote:
                                     test_grippers_become_ours
vla-eval PR 144                      test_serve_stop_and_serve_again
starVLA 459                          test_remote_check: test_what_does_not_fit_ends_with_1
starVLA 355                          test_wire_starvla: BAD, "another's statistics"; one key: null
starVLA PR 261, PR 430, 379          test_a_missing_camera_or_state_is_named; test_wire_starvla:
                                     test_flat_or_enveloped_alone_or_together_the_answer_is_the_same
IsaacLab-Arena PR 823                test_a_long_thought_survives
openvla 236                          test_another_convention_is_refused
found: silent zeros after a fault    test_remote: test_faults_of_a_served_policy_cross_the_wire
found: one late after episode_start  test_wire_vla_eval:
                                     test_a_fault_at_the_start_waits_for_its_question
found: sign flips                    test_wire_vla_eval: quat_no_antipodal; test_remote:
                                     test_the_flipped_axis_angle_is_the_same_rotation
found: dtype |O crashes              test_wire_openpi: test_hostile_messages_are_refused_in_one_line
found: database path of the peer     test_no_path_of_a_peer_is_opened
section 7: texts of errors           test_texts_of_faults_have_no_folders_and_no_control_characters
===================================  =============================================================
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

import wambench.wire
from tests.test_wire_openpi import Echo
from tests.wired import TASK, WIRES, Wire, acts, frame, joined, play
from wambench.profile.acting import ANY_ACTION
from wambench.wire import listening, openpi, vla_eval
from wambench.wire.limits import SERVER_BYTES, WireError, told

every_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)


class Slow(Echo):
    naps = 0.8


@every_wire
def test_others_are_answered_while_a_policy_thinks(wire: Wire) -> None:
    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await wire.begin(connection)
            thinking = asyncio.create_task(wire.ask(connection))
            await asyncio.sleep(0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":")[-1]))
            writer.write(f"GET {wire.health} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert b"200 OK" in await asyncio.wait_for(reader.readline(), 0.5)
            writer.close()
            async with joined(url) as second:
                if not wire.speaks:
                    await second.send(frame("hello", {}))
                await asyncio.wait_for(second.recv(), 0.5)
            assert not thinking.done(), "it thought too fast for the test"
            await thinking

    play(wire, scene, Slow)


@every_wire
def test_a_long_thought_survives(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that pings gets its pongs meanwhile; the server itself drops nobody for silence."""
    settings: dict[str, Any] = {}
    serve = listening.serve
    monkeypatch.setattr(listening, "serve", lambda *a, **k: settings.update(k) or serve(*a, **k))

    async def scene(url: str) -> None:
        async with joined(url, ping_interval=0.1, ping_timeout=0.3) as connection:
            await wire.begin(connection)
            assert np.shape(await wire.ask(connection))[-1] == 7

    play(wire, scene, Slow)
    assert settings["ping_interval"] is None


def modules() -> Iterator[tuple[str, ast.AST]]:
    for file in sorted(Path(wambench.wire.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            yield f"{file.name}:{getattr(node, 'lineno', 0)}", node


def test_nothing_of_a_peer_is_imported() -> None:
    allowed = {"msgpack", "numpy", "PIL", "pydantic", "wambench", "websockets", "zmq"}
    allowed |= sys.stdlib_module_names
    for where, node in modules():
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.split(".")[0] in allowed, (where, name)


def test_nothing_is_unpickled_or_evaluated() -> None:
    """Neither by name (eval, np.load) nor by import."""
    modules_barred = {"pickle", "marshal", "shelve", "dill", "importlib", "runpy", "sqlite3"}
    names_barred = {"eval", "exec", "compile", "__import__", "open"}
    of_numpy = {"load", "loads", "fromfile", "memmap", "loadtxt", "genfromtxt"}
    for where, node in modules():
        if isinstance(node, ast.Import):
            assert not modules_barred & {alias.name.split(".")[0] for alias in node.names}, where
        elif isinstance(node, ast.ImportFrom):
            # importlib.metadata alone: our own version
            named = {alias.name for alias in node.names}
            is_version = node.module == "importlib" and named == {"metadata"}
            assert is_version or str(node.module).split(".")[0] not in modules_barred, where
        elif isinstance(node, ast.Name):
            assert node.id not in names_barred, (where, node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "np" or node.attr not in of_numpy, (where, node.attr)
        elif isinstance(node, ast.keyword):
            assert node.arg != "allow_pickle", where


def test_foreign_marks_are_named() -> None:
    theirs = {"__ndarray__": True, "data": b"", "dtype": "<f4", "shape": [0]}
    picture = {"__image__": True, "format": "png", "data": b"", "shape": [1, 1, 3]}
    numpys = {b"nd": True, b"type": "<f4", b"kind": b"", b"shape": [0], b"data": b""}
    for marked, name in ((theirs, "'__ndarray__'"), (picture, "'__image__'"), (numpys, "b'nd'")):
        with pytest.raises(WireError, match=f"marked {name}"):
            openpi.decode(msgpack.packb({"x": marked}), SERVER_BYTES)
    for marked in (numpys, {key.encode(): value for key, value in theirs.items()}):
        with pytest.raises(WireError, match="a key of bytes, as openpi's"):
            vla_eval.decode(msgpack.packb({"payload": marked}), SERVER_BYTES)


def test_arrays_are_writable_copies() -> None:
    values = [np.arange(12, dtype="<f4"), np.zeros((4, 4, 3), np.uint8), np.ones((2, 3), ">i2")]
    for value in values:
        found = openpi.decode(openpi.encode({"x": value}), SERVER_BYTES)["x"]
        found += 1
        assert np.array_equal(found, value + 1) and found.dtype.isnative
        for packing in ("png", "raw"):
            sent = vla_eval.encode(vla_eval.Frame.now("action", {"x": value}, 1), packing)
            got = vla_eval.decode(sent, SERVER_BYTES).payload["x"]
            got += 1
            assert np.array_equal(got, value + 1)


@every_wire
def test_what_other_programs_say_is_refused(wire: Wire) -> None:
    async def scene(url: str) -> None:
        for message in (b"<html><body>", json.dumps({"a": 1}).encode(), b"\x05", b"\xa1x", "{}"):
            async with joined(url) as connection:
                await wire.begin(connection)
                await connection.send(message)
                with pytest.raises(ConnectionClosed):
                    said = await connection.recv()
                    assert isinstance(said, str) and said.isprintable()
                    await connection.recv()

    play(wire, scene)


async def refusal(wire: Wire, url: str, prompt: str = "go", **fields: Any) -> str:
    """What is said to a question on a connection of its own; it must be a fault."""
    async with joined(url) as connection:
        await wire.begin(connection)
        text = await wire.ask(connection, prompt, **fields)
    assert isinstance(text, str) and text.isprintable(), text
    return text


@every_wire
def test_an_empty_prompt_is_refused(wire: Wire) -> None:
    async def scene(url: str) -> None:
        for prompt in ("", " \n", None, 3, b"go", ["go"], np.zeros(3)):
            text = await refusal(wire, url, prompt)  # type: ignore[arg-type]
            assert f"{wire.preset.prompt!r} must be an instruction" in text

    play(wire, scene)


def test_an_episode_without_an_instruction_is_refused() -> None:
    """An array for one, too: whether it is true is not even a question."""
    wire = WIRES["vla-eval"]

    async def scene(url: str) -> None:
        for odd in ({"name": ""}, {"instruction": " "}, {"instruction": np.zeros(3)}, {"name": 3}):
            async with joined(url) as connection:
                await connection.send(frame("episode_start", {"task": TASK | odd}))
                text = await wire.ask(connection)
                assert "episode_start failed" in text and "InternalError" not in text

    play(wire, scene)


def hand(one: float, other: float) -> dict[str, Any]:
    return {"observation/state": np.array([0.1, 0.2, 0.3, 3.1, 0, 0, one, other])}


@every_wire
def test_one_finger_sent_twice_is_refused(wire: Wire) -> None:
    """Closed fingers are pressed a little beyond their ends, and differ."""

    async def scene(url: str) -> None:
        for one, other in ((0.039, 0.039), (-0.02, -0.02), (0.039, 0.03)):
            text = await refusal(wire, url, **hand(one, other))
            assert f"{wire.preset.state_key!r} has both fingers at" in text, text
        for one, other in ((0.039, -0.0395), (0.02, -0.001), (0.002, 0.0004), (0.0, 0.0)):
            async with joined(url) as connection:
                await wire.begin(connection)
                assert np.shape(await wire.ask(connection, **hand(one, other)))[-1] == 7

    play(wire, scene)


@every_wire
def test_an_empty_chunk_is_a_fault(wire: Wire) -> None:
    async def scene(url: str) -> None:
        assert "act() returned shape (0, 7)" in await refusal(wire, url)

    play(wire, scene, acts(np.zeros((0, 7))))


@every_wire
def test_a_missing_camera_or_state_is_named(wire: Wire) -> None:
    async def scene(url: str) -> None:
        for field, key in (
            ("observation/wrist_image", wire.preset.images["wrist"]),
            ("observation/state", wire.preset.state_key),
        ):
            assert f"{key!r} must be" in await refusal(wire, url, **{field: None})

    play(wire, scene)


@every_wire
def test_the_same_question_gets_the_same_answer(wire: Wire) -> None:
    """Whoever asked before; on a wire with episodes, at the same step of the same one."""

    async def scene(url: str) -> None:
        found = []
        for before in (0, 2):
            for number in range(before):
                async with joined(url) as connection:
                    await wire.begin(connection)
                    await wire.ask(connection, f"go {number}")
            async with joined(url) as connection:
                await wire.begin(connection)
                found.append(np.array(await wire.ask(connection)).tobytes())
        assert len(set(found)) == 1

    play(wire, scene)


@every_wire
def test_every_answer_belongs_to_its_question(wire: Wire) -> None:
    """Asked without waiting: answers come one for each, in order."""

    class Length(Echo):
        spec = Echo.spec.model_copy(update={"replan_steps": 1})

        def _one(self, seen: Any) -> Any:
            return np.full((1, 7), len(seen.instruction) / 100)

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await wire.begin(connection)
            for number in range(1, 20):
                await connection.send(wire.question("x" * number))
            for number in range(1, 20):
                found = np.ravel(wire.answer(await connection.recv()))
                assert found[0] == pytest.approx(number / 100)

    play(wire, scene, Length)


@every_wire
def test_who_leaves_early_harms_nobody(wire: Wire) -> None:
    class Short(Echo):
        naps = 0.1

    async def scene(url: str) -> None:
        for _ in range(3):
            async with joined(url) as connection:
                await wire.begin(connection)
                await connection.send(wire.question("go"))
                connection.transport.abort()
        async with joined(url) as connection:
            await wire.begin(connection)
            assert np.shape(await wire.ask(connection))[-1] == 7

    play(wire, scene, Short)


@every_wire
def test_another_convention_is_refused(wire: Wire) -> None:
    """Numbers look alike in any frame; so a policy is served under its own convention alone."""

    def problem(**changes: Any) -> str:
        return "; ".join(wire.preset.problems(Echo.spec.model_copy(update=changes)))

    assert problem() == ""
    for field, value in (("rotation", "euler_xyz"), ("gripper", "positive_opens")):
        action = ANY_ACTION.model_copy(update={field: value})
        assert f"acts with {field}={value!r}" in problem(action=action)
    assert "needs opengl pictures" in problem(orientation="opengl")
    assert "needs camera 'left'" in problem(cameras=("left",))
    assert "needs 'eef_quat'" in problem(proprio=("eef_quat",))


@every_wire
def test_serve_stop_and_serve_again(wire: Wire) -> None:
    """In one process, each time on a loop of its own."""
    found = []

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await wire.begin(connection)
            found.append(np.array(await wire.ask(connection)).tobytes())

    for _ in range(2):
        play(wire, scene)
    assert len(found) == 2 and len(set(found)) == 1


OPENED: list[str] = []


def _watch(event: str, found: tuple[Any, ...]) -> None:
    if event in ("open", "sqlite3.connect", "os.mkdir", "os.listdir"):
        OPENED.append(str(found[0]))


def test_no_path_of_a_peer_is_opened(tmp_path: Path) -> None:
    """vla-eval's clients name a database; an audit hook sees whatever this process opens."""
    sys.addaudithook(_watch)
    path = tmp_path / "theirs.db"
    names = {"sid": "s", "eid": "e", "eval_id": str(path), "db_path": str(path)}
    wire = WIRES["vla-eval"]

    async def scene(url: str) -> None:
        async with joined(url) as connection:
            await connection.send(
                frame("episode_start", {"task": TASK | {"suite": str(path)}, "recording": names})
            )
            assert np.shape(await wire.ask(connection)) == (7,)

    play(wire, scene)
    (tmp_path / "ours").write_text("the hook works")
    assert [Path(name).name for name in OPENED if str(tmp_path) in name] == ["ours"]


@every_wire
def test_texts_of_faults_have_no_folders_and_no_control_characters(wire: Wire) -> None:
    class Loud(Echo):
        def _one(self, seen: Any) -> Any:
            raise OSError("\x1b[31mno\r\n\u202e'/srv/a/b.txt' nor C:\\Users\\me\\c.txt\0")

    async def scene(url: str) -> None:
        text = await refusal(wire, url)
        assert "b.txt" in text and "c.txt" in text
        for folder in ("srv", "/a", "Users", "me\\", "C:"):
            assert folder not in text, text

    play(wire, scene, Loud)
    assert len(told("x" * 10_000)) == 2048


def test_the_table_names_tests_that_exist() -> None:
    here = Path(__file__).parent
    files = [*here.glob("test_wire_*.py"), *here.glob("test_remote*.py")]
    known = "".join(file.read_text() for file in files)
    named = set(re.findall(r"\btest_(?!wire_|remote)\w+", str(__doc__)))
    assert len(named) > 15
    assert not [name for name in named if f"def {name}(" not in known]
