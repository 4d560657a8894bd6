"""GR00T's bytes: recorded messages of two codecs, hostile ones, the observation's layout."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from tests.test_wire_openpi import state
from wambench.wire.gr00t import ACTION, Packing, chunk, decode, encode, observation
from wambench.wire.limits import CLIENT_BYTES, WireError

RECORDED = Path(__file__).parent / "wire"
PROMPT = "annotation.human.action.task_description"


def recorded(file: str) -> dict[str, bytes]:
    """Name and direction -> message."""
    lines = map(json.loads, (RECORDED / f"groot_{file}.jsonl").read_text().splitlines())
    return {
        f"{one['name']} {one.get('dir', '')}".strip(): base64.b64decode(one["b64"])
        for one in lines
        if "b64" in one
    }


@pytest.mark.parametrize(("file", "packing"), [("n16", "npy"), ("n17_codec", "nd")])
def test_recorded_messages_encode_to_the_same_bytes(file: str, packing: Packing) -> None:
    """All but a complex number and what is no MessagePack, which are refused."""
    refused = set()
    found = recorded(file)
    for name, message in found.items():
        try:
            assert encode(decode(message, CLIENT_BYTES), packing) == message, name
        except WireError as error:
            assert "\n" not in str(error)
            refused.add(name)
    assert len(found) >= 6
    assert refused == ({"not_msgpack c2s"} if file == "n16" else {"complex"})


def test_both_codecs_say_the_same() -> None:
    """One observation was recorded in each, and it is laid out as ours is."""
    old = decode(recorded("n16")["get_action c2s"], CLIENT_BYTES)
    new = decode(recorded("n17_codec")["get_action_request"], CLIENT_BYTES)
    assert encode(old) == encode(new)
    sent = old["data"]["observation"]
    parts = sent["state"]
    ours = observation(
        {name: picture[0, 0] for name, picture in sent["video"].items()},
        np.concatenate([part[0, 0] for part in parts.values()]).astype(np.float64),
        PROMPT,
        sent["language"][PROMPT][0][0],
    )
    request = {"endpoint": "get_action", "data": {"observation": ours, "options": None}}
    assert encode(request) == recorded("n16")["get_action c2s"]
    assert encode(request, "nd") == recorded("n17_codec")["get_action_request"]
    assert np.array_equal(parts["gripper"][0, 0], -parts["gripper"][0, 0, ::-1]), "opposite signs"


def test_the_layout_is_that_of_every_version() -> None:
    """N1.7 refuses a state of float64 and whatever lacks the axis of time."""
    numbers = state(np.random.default_rng(0))
    pictures = {"image": np.zeros((4, 6, 3), np.uint8)}
    found = observation(pictures, numbers, PROMPT, "go")
    assert found["video"]["image"].shape == (1, 1, 4, 6, 3)
    assert found["language"] == {PROMPT: [["go"]]}
    assert {part.dtype for part in found["state"].values()} == {np.dtype(np.float32)}
    shapes = {name: part.shape for name, part in found["state"].items()}
    assert shapes == {name: (1, 1, 2 if name == "gripper" else 1) for name in ACTION}
    assert found["state"]["pitch"][0, 0, 0] == np.float32(numbers[4]), "the axis-angle's second"


def file_of(value: Any, **changes: Any) -> bytes:
    """A ``.npy`` file, its header changed."""
    file = io.BytesIO()
    np.save(file, value)
    if not changes:
        return file.getvalue()
    fields = {"descr": value.dtype.str, "fortran_order": False, "shape": value.shape} | changes
    return with_header(f"{fields!r}\n".replace(")}", "), }").encode(), value.tobytes())


def with_header(text: bytes, data: bytes = b"\0" * 4) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def npy(file: object) -> dict[Any, Any]:
    return {"__ndarray_class__": True, "as_npy": file}


def nd(**changes: Any) -> dict[Any, Any]:
    fields = {"nd": True, "type": "<f4", "kind": b"", "shape": [1], "data": b"\0" * 4} | changes
    return {key.encode(): value for key, value in fields.items() if value is not None}


ONE = np.zeros(1, np.float32)
HOSTILE: dict[str, Any] = {
    "no file": npy(None),
    "another file": npy(b"PK\x03\x04" + b"\0" * 40),
    "a pickle": npy(b"cos\nsystem\n(S'true'\ntR."),
    "version 2": npy(b"\x93NUMPY\x02\x00" + b"\0" * 40),
    "cut short": npy(file_of(ONE)[:20]),
    "a terabyte": npy(file_of(ONE, shape=(1 << 40,))),
    "numbers without end": npy(with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': ("
                                           + b"9" * 5000 + b",), }\n")),
    "objects": npy(file_of(ONE, descr="|O8")),
    "objects, briefly": npy(file_of(ONE, descr="|O")),
    "a date": npy(file_of(ONE, descr="<M8")),
    "a record": npy(file_of(ONE, descr=[("a", "<f4")])),
    "Fortran's order": npy(file_of(np.zeros((2, 2), np.float32), fortran_order=True)),
    "a negative length": npy(file_of(ONE, shape=(-1,))),
    "a comma too many": npy(with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,,), "
                                        b"}\n")),
    "a call": npy(with_header(b"__import__('os').system('true')\n")),
    "too little data": npy(file_of(ONE)[:-1]),
    "nd: pickled objects": nd(kind=b"O", type="|O"),
    "nd: a record": nd(kind=b"V", type=[["a", "<f4"]]),
    "nd: objects as numbers": nd(type="|O", data=b"\0" * 8),
    "nd: another size": nd(shape=[2]),
    "nd: a prefix": nd(data=b"\0" * 16),
    "nd: no shape": nd(shape=None),
    "nd: keys of text": {"nd": True, "type": "<f4", "kind": "", "shape": [1], "data": b"\0" * 4},
    "openpi's": {b"__ndarray__": True, b"data": b"", b"dtype": "<f4", b"shape": [0]},
    "a modality of no map": {"__ModalityConfig_class__": True, "as_json": "[1, 2]"},
    "a modality of no JSON": {"__ModalityConfig__": True, "as_json": "{" * 1000},
    "a modality without end": {"__ModalityConfig__": True, "as_json": "[" * 60_000},
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_messages_are_refused_in_one_line(what: str) -> None:
    with pytest.raises(WireError) as refused:
        decode(msgpack.packb({"x": HOSTILE[what]}), CLIENT_BYTES)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


@pytest.mark.parametrize("packing", ["npy", "nd"])
def test_arrays_come_back_as_writable_copies(packing: Packing) -> None:
    for value in (
        np.arange(6, dtype=">i2").reshape(2, 3), np.zeros((0, 7)), np.array(1.5),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array([True]),
    ):  # fmt: skip
        found = decode(encode({"x": value}, packing), CLIENT_BYTES)["x"]
        assert np.array_equal(found, value) and found.shape == value.shape
        assert found.dtype.isnative and found.flags.writeable


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([None]), np.datetime64(1, "s"), {1}])
def test_what_has_no_place_is_not_sent(value: Any) -> None:
    with pytest.raises(WireError, match="cannot be sent"):
        encode({"x": value})


@pytest.mark.parametrize("config", [{"delta_indices": [0]}, '{"delta_indices": [0]}'])
@pytest.mark.parametrize("mark", ["__ModalityConfig_class__", "__ModalityConfig__"])
def test_modalities_are_read_of_every_version(mark: str, config: Any) -> None:
    message = msgpack.packb({"video": {mark: True, "as_json": config}})
    assert decode(message, CLIENT_BYTES) == {"video": {"delta_indices": [0]}}


def columns(*shape: int, dtype: Any = np.float32) -> dict[str, Any]:
    return {name: np.full(shape, n, dtype) for n, name in enumerate(ACTION)}


@pytest.mark.parametrize("shape", [(1, 16, 1), (16, 1), (16,)])
@pytest.mark.parametrize("form", ["list", "map", "flat"])
def test_actions_are_read_of_every_version(form: str, shape: tuple[int, ...]) -> None:
    parts = columns(*shape)
    flat = {f"action.{name}": part for name, part in parts.items()}
    found = chunk({"list": [parts, {}], "map": parts, "flat": flat}[form])
    assert found.shape == (16, 7) and found.dtype == np.float32
    assert found[3].tolist() == list(range(7))


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (None, "a map of x, y"),
        ([], "a map of x, y"),
        ([{}, {}], "x as nothing"),
        ([columns(2, 16, 1), {}], "x as float32 [2, 16, 1]"),
        ([columns(16, 2), {}], "x as float32 [16, 2]"),
        (columns(16, dtype=np.int64), "x as int64 [16]"),
        (columns(16) | {"yaw": np.zeros(8)}, "[16, 16, 16, 16, 16, 8, 16] actions"),
    ],
)
def test_what_is_no_chunk_is_named(answer: Any, named: str) -> None:
    with pytest.raises(WireError) as refused:
        chunk(answer)
    assert named in str(refused.value) and "\n" not in str(refused.value)
