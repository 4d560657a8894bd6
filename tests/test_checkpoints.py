"""Checkpoints: whatever is wrong with a file is refused in one line and no model is half filled."""

from __future__ import annotations

import json
import os
import random
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from baselines.core.build import on_meta
from baselines.core.checkpoints.audit import audit
from baselines.core.checkpoints.hashing import content_hash, file_hash, path_hash
from baselines.core.checkpoints.inspect import inspect_checkpoint
from baselines.core.checkpoints.layout import Entry, Layout
from baselines.core.checkpoints.loading import load_into
from baselines.core.checkpoints.mapping import to_file, to_model
from baselines.core.checkpoints.reading import read_checkpoint
from baselines.core.checkpoints.statistics import read_statistics, statistics_path
from baselines.core.checkpoints.wrappers import unwrapped
from baselines.core.checkpoints.writing import write_released, write_safetensors
from wambench import UserError


class Toy(nn.Module):
    """Split rows (q, k), swapped halves (head), a squeezed convolution, a counter, an alias."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, 2 * width)
        self.mix = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.proprio_encoder = nn.Linear(8, width)


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
LAYOUT: Layout = (
    Entry("mot.mixtures.video.transformer.qk.weight", ("q.weight", "k.weight")),
    Entry("mot.mixtures.video.blocks.0.qk", alias_of="mot.mixtures.video.transformer.qk.weight"),
    Entry("mot.mixtures.action.head.weight", ("head.weight",), swap_halves=True),
    Entry("mot.mixtures.action.head.bias", ("head.bias",), swap_halves=True),
    Entry("mot.mixtures.action.mix.weight", ("mix.weight",), squeeze=True),
    Entry("mot.mixtures.action.mix.bias", ("mix.bias",)),
    *(Entry(f"mot.mixtures.action.norm.{name}", (f"norm.{name}",)) for name in NORM),
    Entry("proprio_encoder.weight", ("proprio_encoder.weight",)),
    Entry("proprio_encoder.bias", ("proprio_encoder.bias",)),
)
QK, ALIAS = (entry.file for entry in LAYOUT[:2])
HEAD = "mot.mixtures.action.head.weight"
Content = dict[str, Any]
Edit = Callable[[Content], object]


def toy_state(seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(t.shape, generator=generator).to(dtype) if t.is_floating_point() else t
        for name, t in Toy().state_dict().items()
    }


def released(edit: Edit | None = None, dtype: torch.dtype = torch.float32) -> Content:
    """The content of a released file as the reference codes nest it, written out by hand."""
    state = toy_state(dtype=dtype)
    head, bias = state["head.weight"], state["head.bias"]
    qk = torch.cat([state["q.weight"], state["k.weight"]])
    mot = {
        "mixtures.video.transformer.qk.weight": qk,
        "mixtures.video.blocks.0.qk": qk,
        "mixtures.action.head.weight": torch.cat([head[16:], head[:16]]),
        "mixtures.action.head.bias": torch.cat([bias[16:], bias[:16]]),
        "mixtures.action.mix.weight": state["mix.weight"][:, :, None, None],
        "mixtures.action.mix.bias": state["mix.bias"],
        **{f"mixtures.action.norm.{name}": state[f"norm.{name}"] for name in NORM},
    }
    proprio = {name: state[f"proprio_encoder.{name}"] for name in ("weight", "bias")}
    content = {"mot": mot, "proprio_encoder": proprio, "step": 7, "torch_dtype": str(dtype)}
    if edit is not None:
        edit(content)
    return content


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    torch.save(released(), path)
    return path


def refused(path: Path, *words: str) -> str:
    """Load the file into a toy on meta; the line of the refusal, checked for what all share."""
    model = on_meta(Toy)
    with pytest.raises(UserError) as caught:
        load_into(model, path, LAYOUT, torch.float32)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    assert all(word in line for word in words), line
    assert ";" in line, f"no remedy: {line}"
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    return line


def refused_content(tmp_path: Path, edit: Edit, *words: str) -> str:
    torch.save(released(edit), tmp_path / "model.pt")
    return refused(tmp_path / "model.pt", *words)


# ---------------------------------------------------------------- loading and round trips


def test_a_released_file_fills_the_model(good: Path) -> None:
    model = on_meta(Toy)
    found = load_into(model, good, LAYOUT, torch.float32)
    assert (found.problem(), found.matched, found.aliases) == (None, len(LAYOUT), 1)
    expected = toy_state()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_weights_are_cast_and_counters_are_not(good: Path) -> None:
    model = on_meta(Toy)
    load_into(model, good, LAYOUT, torch.bfloat16)
    assert model.q.weight.dtype == torch.bfloat16
    assert model.state_dict()["norm.num_batches_tracked"].dtype == torch.int64
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_an_open_file_holds_what_it_says(good: Path) -> None:
    file = read_checkpoint(good)
    assert set(file.tensors) == {entry.file for entry in LAYOUT}
    assert file.facts == {"step": 7, "torch_dtype": "torch.float32"}
    assert file.verified == "crc32"
    assert file.shapes[QK] == (32, 16)


def test_facts_are_kept_and_the_optimizer_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    extra = {"optimizer": {"state": {0: torch.ones(3)}}, "config": {"a": [1, 2]}, "meta": None}
    torch.save(released(lambda content: content.update(extra)), path)
    file = read_checkpoint(path)
    assert file.facts["config"] == {"a": [1, 2]}
    assert file.facts["meta"] is None
    assert "optimizer" not in file.facts
    assert not any("optimizer" in key for key in file.tensors)
    load_into(on_meta(Toy), path, LAYOUT, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_writing_returns_the_released_file(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save(released(dtype=dtype), tmp_path / "a.pt")
    model = on_meta(Toy)
    load_into(model, tmp_path / "a.pt", LAYOUT, dtype)
    write_released(tmp_path / "b.pt", model.state_dict(), LAYOUT, step=7, dtype=dtype)
    first, second = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in "ab")
    assert list(first) == list(second)
    assert (second["step"], second["torch_dtype"]) == (7, str(dtype))
    for top in ("mot", "proprio_encoder"):
        assert first[top].keys() == second[top].keys()
        for name, tensor in first[top].items():
            assert tensor.dtype == second[top][name].dtype
            assert torch.equal(tensor, second[top][name]), name
    mot = second["mot"]
    shared = mot[QK.removeprefix("mot.")].data_ptr() == mot[ALIAS.removeprefix("mot.")].data_ptr()
    assert shared, "the alias is stored twice"


def test_to_file_and_back_is_the_identity() -> None:
    state = toy_state()
    back = to_model(to_file(state, LAYOUT), LAYOUT)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_a_file_may_be_replaced_by_its_own_tensors(good: Path) -> None:
    model = on_meta(Toy)
    load_into(model, good, LAYOUT, torch.float32)
    write_released(good, model.state_dict(), LAYOUT, step=8, dtype=torch.float32)
    assert torch.equal(model.state_dict()["q.weight"], toy_state()["q.weight"])
    again = on_meta(Toy)
    load_into(again, good, LAYOUT, torch.float32)
    assert torch.equal(again.q.weight, toy_state()["q.weight"])


def test_a_failed_write_leaves_the_old_file(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = good.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"model\.pt.*No space left on device;") as caught:
        write_released(good, toy_state(), LAYOUT, step=1, dtype=torch.float32)
    assert "\n" not in str(caught.value)
    assert good.read_bytes() == before
    assert os.listdir(good.parent) == [good.name]  # noqa: PTH208


def test_a_write_to_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/model.pt' cannot be written"):
        write_released(tmp_path / "nowhere" / "model.pt", toy_state(), LAYOUT, 1, torch.float32)
    with pytest.raises(UserError, match=r"nowhere/x.safetensors' cannot be written") as caught:
        write_safetensors(tmp_path / "nowhere" / "x.safetensors", toy_state(), {})
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- files that are no checkpoint


def test_no_such_file(tmp_path: Path) -> None:
    refused(tmp_path / "model.pt", "does not exist")


def test_a_folder(tmp_path: Path, good: Path) -> None:
    refused(tmp_path, "is a folder", "model.pt")


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    refused(tmp_path / name, "is empty")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html>\n<html>Sign in</html>", "is not a checkpoint"),
        (b"hi", "is not a checkpoint"),
        (b"\x00" * 4, "is not a checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "git lfs pull"),
        (b"\x80\x04K\x01.", "bare pickle"),
        (b"x" * 257 + b"ustar" + b"x" * 300, "before 1.6"),
    ],
)
@pytest.mark.parametrize("name", ["model.pt", "model"])
def test_files_of_other_kinds(tmp_path: Path, content: bytes, word: str, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, word)


def test_the_old_torch_format(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save(released(), path, _use_new_zipfile_serialization=False)
    refused(path, "before 1.6", "save it again")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.jit")
def test_archives_that_torch_did_not_write(tmp_path: Path, good: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.write(good, "model.pt")
    refused(tmp_path / "other.pt", "zip archive")
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(
        tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED
    ) as target:  # fmt: skip
        for name in source.namelist():
            target.writestr(name, source.read(name))
    refused(tmp_path / "packed.pt", "archive tool")
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    refused(tmp_path / "script.pt", "TorchScript")


def test_a_file_without_checksums(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(released(), tmp_path / "model.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    refused(tmp_path / "model.pt", "without checksums")


def test_content_without_tensors(tmp_path: Path) -> None:
    for content, word in (({"step": 1, "mot": {}}, "no tensors"), (torch.ones(2), "a Tensor")):
        torch.save(content, tmp_path / "model.pt")
        refused(tmp_path / "model.pt", word)


def test_tensors_without_plain_values(tmp_path: Path) -> None:
    for odd in (torch.eye(4).to_sparse(), torch.empty(3, device="meta")):
        extra = {"odd": odd}
        torch.save(released() | extra, tmp_path / "model.pt")
        refused(tmp_path / "model.pt", "'odd'")


def test_an_entry_that_holds_itself(tmp_path: Path) -> None:
    loop: list[object] = []
    loop.append(loop)
    refused_content(tmp_path, lambda content: content.update(loop=loop), "too deeply")


def test_a_key_that_two_entries_claim(tmp_path: Path) -> None:
    extra = {"proprio_encoder.bias": torch.ones(16)}
    refused_content(tmp_path, lambda content: content.update(extra), "twice")


# ---------------------------------------------------------------- damage


def test_truncation_at_every_kind_of_length(good: Path) -> None:
    whole = good.read_bytes()
    lengths = [1, 3, 4, 30, 100, len(whole) // 3, len(whole) // 2, len(whole) - 1000]
    for length in [*lengths, len(whole) - 22, len(whole) - 2, len(whole) - 1]:
        good.write_bytes(whole[:length])
        refused(good, "is cut short", "again")


def data_positions(path: Path) -> list[int]:
    """Positions of all bytes of all records of a zip file."""
    raw = path.read_bytes()
    positions: list[int] = []
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            at = record.header_offset
            name, extra = struct.unpack("<HH", raw[at + 26 : at + 30])
            positions += range(at + 30 + name + extra, at + 30 + name + extra + record.file_size)
    return positions


def flip(path: Path, raw: bytes, position: int, bit: int) -> None:
    damaged = bytearray(raw)
    damaged[position] ^= 1 << bit
    path.write_bytes(damaged)


def test_one_flipped_bit_of_the_data_is_noticed(good: Path) -> None:
    raw, draw = good.read_bytes(), random.Random(0)
    for position in draw.sample(data_positions(good), 40):
        flip(good, raw, position, draw.randrange(8))
        refused(good, "is damaged", "again")


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(good: Path) -> None:
    raw, draw = good.read_bytes(), random.Random(1)
    intact = {key: tensor.clone() for key, tensor in read_checkpoint(good).tensors.items()}
    refusals = 0
    for position in [*draw.sample(range(len(raw)), 150), *range(len(raw) - 300, len(raw))]:
        flip(good, raw, position, draw.randrange(8))
        try:
            file = read_checkpoint(good)
        except UserError as error:
            assert "\n" not in str(error)
            refusals += 1
            continue
        assert file.tensors.keys() == intact.keys(), position
        assert all(torch.equal(file.tensors[k], t) for k, t in intact.items()), position
    assert refusals > 150


# ---------------------------------------------------------------- code


class Bomb:
    """Runs a command where it is unpickled carelessly."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.touched}",)


def test_code_in_a_file_is_named_and_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    bomb = {"config": Bomb(touched)}
    refused_content(tmp_path, lambda content: content.update(bomb), "run code", "system", "was not")
    assert not touched.exists()
    torch.load(tmp_path / "model.pt", weights_only=False)  # what the test rests on
    assert touched.exists()


def test_objects_of_other_libraries_are_not_opened(tmp_path: Path) -> None:
    odd = {"config": Path("x")}
    refused_content(tmp_path, lambda content: content.update(odd), "run code", "pathlib")


# ---------------------------------------------------------------- tensors that do not fit


def drop(content: Content) -> None:
    del content["mot"][HEAD.removeprefix("mot.")]


def test_a_missing_tensor(tmp_path: Path) -> None:
    refused_content(tmp_path, drop, f"1 of {len(LAYOUT)} tensors is missing", HEAD)


def test_a_missing_part(tmp_path: Path) -> None:
    line = refused_content(tmp_path, lambda content: content.pop("proprio_encoder"), "are missing")
    assert "'proprio_encoder.weight', 'proprio_encoder.bias'" in line


def test_a_missing_alias(tmp_path: Path) -> None:
    name = ALIAS.removeprefix("mot.")
    refused_content(tmp_path, lambda content: content["mot"].pop(name), "is missing", ALIAS)


def test_an_extra_tensor(tmp_path: Path) -> None:
    extra = {"ema": {"w": torch.ones(2)}, "late\nname": torch.ones(1)}
    line = refused_content(tmp_path, lambda content: content.update(extra), "have no place")
    assert "'ema.w'" in line


def test_more_than_three_are_counted(tmp_path: Path) -> None:
    extra = {f"extra{number}": torch.ones(1) for number in range(7)}
    line = refused_content(tmp_path, lambda content: content.update(extra), "and 4 more")
    assert "'extra2'" in line
    assert "'extra3'" not in line


def change(key: str, function: Callable[[Tensor], Tensor]) -> Edit:
    """Replace a tensor under "top.name" by a function of it."""
    top, _, name = key.partition(".")
    return lambda content: content[top].update({name: function(content[top][name])})


def test_a_tensor_of_another_shape(tmp_path: Path) -> None:
    edit = change(HEAD, lambda t: t.T.contiguous())
    refused_content(tmp_path, edit, "wrong shape", HEAD, "is [16, 32], not [32, 16]")


def test_a_tensor_to_squeeze_of_another_shape(tmp_path: Path) -> None:
    edit = change("mot.mixtures.action.mix.weight", lambda t: t.expand(-1, -1, 1, 3))
    refused_content(tmp_path, edit, "is [16, 16, 1, 3], not [16, 16, 1, 1]")


def test_several_kinds_of_trouble_are_counted(tmp_path: Path) -> None:
    def edit(content: Content) -> None:
        drop(content)
        content["surplus"] = torch.ones(1)
        change("proprio_encoder.bias", lambda t: t[:3].clone())(content)

    refused_content(tmp_path, edit, "is missing", "(also 1 unexpected, 1 of wrong shape)")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8, torch.float8_e4m3fn])
def test_one_tensor_of_another_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    words = ("wrong dtype", HEAD, f"is {str(dtype).removeprefix('torch.')}, not float32")
    refused_content(tmp_path, change(HEAD, lambda t: t.to(dtype)), *words)


def test_a_file_that_declares_another_dtype(tmp_path: Path) -> None:
    def edit(content: Content) -> None:
        content["torch_dtype"] = "torch.bfloat16"

    count = len(LAYOUT) - 1  # not the counter of the batch norm
    words = (f"{count} of {len(LAYOUT)} tensors have wrong dtypes", "is float32, not bfloat16")
    refused_content(tmp_path, edit, *words)


@pytest.mark.parametrize("said", ["torch.int8", "half a byte", 7])
def test_a_dtype_that_is_none(tmp_path: Path, said: object) -> None:
    refused_content(tmp_path, lambda content: content.update(torch_dtype=said), "declares")


def test_a_dtype_need_not_be_declared(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(released(lambda content: content.pop("torch_dtype")), path)
    load_into(on_meta(Toy), path, LAYOUT, torch.float32)
    edit = change(HEAD, lambda t: t.to(torch.int8))
    torch.save(released(lambda content: (content.pop("torch_dtype"), edit(content))), path)
    refused(path, "is int8, not floating")


def test_a_counter_with_a_fraction(tmp_path: Path) -> None:
    edit = change("mot.mixtures.action.norm.num_batches_tracked", lambda t: t.float())
    refused_content(tmp_path, edit, "is float32, not an integer")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    def poison(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        tensor[3, 4] = tensor[5, 6] = value
        return tensor

    words = ("is not finite", HEAD, "(2 of 512 values)")
    refused_content(tmp_path, change(HEAD, poison), *words)


def test_an_alias_that_differs(tmp_path: Path) -> None:
    edit = change(ALIAS, lambda t: t + torch.eye(32, 16) * 1e-6)
    refused_content(tmp_path, edit, "stored twice with different values", QK, ALIAS)


def test_an_alias_stored_twice_and_equal(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(released(change(ALIAS, lambda t: t.clone())), path)
    assert load_into(on_meta(Toy), path, LAYOUT, torch.float32).aliases == 1


def test_another_model(tmp_path: Path) -> None:
    state = nn.Sequential(*(nn.Linear(4, 4) for _ in range(12))).state_dict()
    both = {"mot": state, "proprio_encoder": released()["proprio_encoder"], "step": 1}
    torch.save(both, tmp_path / "model.pt")
    refused(tmp_path / "model.pt", "another model", "2 of its 26 tensors")


def test_another_size(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_released(path, Toy(24).state_dict(), LAYOUT, step=1, dtype=torch.float32)
    refused(path, "another size of this model", "is [48, 24], not [32, 16]")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda content: {"module": content["mot"]},  # not all: nothing to take off
        lambda content: {f"module.{k}": v for k, v in content.items()},
        lambda content: content | {"mot": {f"module.{k}": v for k, v in content["mot"].items()}},
        lambda content: content | {"mot": {"_orig_mod": content["mot"]}},
        lambda content: {f"module._orig_mod.{k}": v for k, v in content.items()},
        lambda content: (
            content
            | {
                "mot": {
                    k.replace("video.", "video._orig_mod."): v for k, v in content["mot"].items()
                }
            }
        ),
    ],
)
def test_names_of_training_wrappers_come_off(tmp_path: Path, wrap: Any) -> None:
    content = released()
    plain = _flat(content)
    torch.save(wrap(content), tmp_path / "model.pt")
    found = set(read_checkpoint(tmp_path / "model.pt").tensors)
    if "module" in wrap(content):
        assert found == {name.removeprefix("mot.") for name in plain if name.startswith("mot.")}
    else:
        assert found == plain


def _flat(content: Content) -> set[str]:
    """Names of the tensors of a released file."""
    return {
        f"{top}.{name}" for top, part in content.items() if isinstance(part, dict) for name in part
    }


def test_names_that_would_coincide_stay() -> None:
    one = torch.zeros(1)
    assert set(unwrapped({"a.x": one, "_orig_mod.a.x": one})) == {"a.x", "_orig_mod.a.x"}
    assert set(unwrapped({"module.x": one, "y": one})) == {"module.x", "y"}
    assert set(unwrapped({"module.module.x": one})) == {"x"}


def test_the_old_name_of_the_weights(tmp_path: Path) -> None:
    edit: Edit = lambda content: content.update(dit=content.pop("mot"))  # noqa: E731
    refused_content(tmp_path, edit, "'dit'", "'mot'")


@pytest.mark.parametrize("mark", ["q.lora_A.weight", "q.lora_B.weight", "q.base.weight"])
def test_a_lora(tmp_path: Path, mark: str) -> None:
    edit: Edit = lambda content: content["mot"].update({mark: torch.ones(2, 2)})  # noqa: E731
    refused_content(tmp_path, edit, "LoRA", "merge", mark)


def test_a_model_with_weights_keeps_them(good: Path, tmp_path: Path) -> None:
    model = Toy()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save(released(drop), tmp_path / "bad.pt")
    with pytest.raises(UserError):
        load_into(model, tmp_path / "bad.pt", LAYOUT, torch.float32)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


@pytest.mark.parametrize(
    "layout",
    [LAYOUT[:-1], (*LAYOUT, LAYOUT[0]), (*LAYOUT, Entry("mot.x", ("x",)))],
    ids=["unfilled", "twice", "unknown"],
)
def test_a_layout_that_does_not_fit_the_model_is_our_mistake(good: Path, layout: Layout) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        load_into(on_meta(Toy), good, layout, torch.float32)


# ---------------------------------------------------------------- safetensors


FLAT: Layout = tuple(Entry(name, (name,)) for name in Toy().state_dict())


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, toy_state(), {"step": "12", "torch_dtype": "torch.float32"})
    return path


def test_safetensors_round_trip(flat: Path) -> None:
    file = read_checkpoint(flat)
    assert file.facts == {"step": 12, "torch_dtype": "torch.float32"}
    assert file.verified == "content hash"
    expected = toy_state()
    assert file.tensors.keys() == expected.keys()
    assert all(torch.equal(file.tensors[name], expected[name]) for name in expected)
    load_into(on_meta(Toy), flat, FLAT, torch.float32)


def test_tensors_that_share_memory_are_written(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    tensors = {"a": base, "b": base, "c": base.T, "d": base[1]}
    write_safetensors(tmp_path / "x.safetensors", tensors, {})
    found = read_checkpoint(tmp_path / "x.safetensors").tensors
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_written_files_have_the_usual_permissions(tmp_path: Path, flat: Path) -> None:
    write_released(tmp_path / "a.pt", toy_state(), LAYOUT, step=1, dtype=torch.float32)
    (tmp_path / "usual").touch()
    modes = {path.stat().st_mode for path in (flat, tmp_path / "a.pt", tmp_path / "usual")}
    assert len(modes) == 1


def test_truncated_safetensors(flat: Path) -> None:
    whole = flat.read_bytes()
    for length in (1, 7, 8, 9, 100, 800, len(whole) // 2, len(whole) - 1):
        flat.write_bytes(whole[:length])
        with pytest.raises(UserError, match="is cut short") as caught:
            read_checkpoint(flat)
        assert str(flat) in str(caught.value)
    flat.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="is damaged: 1 bytes follow"):
        read_checkpoint(flat)


def test_one_flipped_bit_of_safetensors_is_noticed(flat: Path) -> None:
    raw, draw = flat.read_bytes(), random.Random(2)
    start = 8 + int.from_bytes(raw[:8], "little")
    positions = [*draw.sample(range(start, len(raw)), 40), *draw.sample(range(start), 120)]
    intact = read_checkpoint(flat)
    for position in positions:
        flip(flat, raw, position, draw.randrange(8))
        try:
            file = read_checkpoint(flat)
        except UserError as error:
            assert "\n" not in str(error)
            assert str(flat) in str(error)
            continue
        # What is left: the hash's own name, without which the file looks like others' files.
        assert position < start
        assert file.verified == ""
        assert all(torch.equal(file.tensors[k], t) for k, t in intact.tensors.items())


def test_safetensors_of_others_have_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(toy_state(), path)
    assert read_checkpoint(path).verified == ""
    load_into(on_meta(Toy), path, FLAT, torch.float32)


def shards(folder: Path) -> Path:
    """A folder as diffusers writes it: two shards and an index."""
    folder.mkdir()
    state = toy_state()
    names = sorted(state)
    where: dict[str, str] = {}
    for number, part in enumerate((names[:5], names[5:]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        safetensors.torch.save_file({name: state[name] for name in part}, folder / file)
        where |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_a_folder_of_shards_is_one_checkpoint(tmp_path: Path) -> None:
    folder = shards(tmp_path / "weights")
    file = read_checkpoint(folder)
    expected = toy_state()
    assert file.tensors.keys() == expected.keys()
    assert all(torch.equal(file.tensors[name], expected[name]) for name in expected)
    assert len(file.files) == 2
    load_into(on_meta(Toy), folder, FLAT, torch.float32)


def test_a_folder_of_one_file_needs_no_index(tmp_path: Path, flat: Path) -> None:
    assert read_checkpoint(tmp_path).verified == "content hash"
    assert read_checkpoint(tmp_path).files == (flat,)
    (tmp_path / f"._{flat.name}").write_bytes(b"\x00\x05\x16\x07 what macOS leaves")
    assert read_checkpoint(tmp_path).files == (flat,)
    flat.unlink()
    refused(tmp_path, "is a folder without safetensors; name a file")


def test_shards_that_do_not_fit_together(tmp_path: Path) -> None:
    folder = shards(tmp_path / "weights")
    second = folder / "model-00002-of-00002.safetensors"
    kept = second.read_bytes()
    second.unlink()
    refused(folder, "model-00002-of-00002.safetensors' of its index is missing")
    safetensors.torch.save_file({"other": torch.ones(1)}, second)
    refused(folder, "mixes two versions")
    second.write_bytes(kept[:-1])
    refused(folder, "is cut short", "model-00002-of-00002")
    index = folder / "model.safetensors.index.json"
    for text in ("{", "[]", "{}", json.dumps({"weight_map": {"q.weight": "../../etc/x"}})):
        index.write_text(text)
        refused(folder, "not an index")
    index.unlink()
    refused(folder, "several checkpoints")


# ---------------------------------------------------------------- statistics


def spread(dims: int, **changes: Any) -> dict[str, Any]:
    low = [float(-d - 1) for d in range(dims)]
    high = [float(d + 2) for d in range(dims)]
    fields = {
        "global_min": low, "global_max": high, "global_mean": [0.5] * dims,
        "global_std": [0.25] * dims, "global_q01": [v / 2 for v in low],
        "global_q99": [v / 2 for v in high], "stepwise_min": [low] * 4,
    }  # fmt: skip
    return fields | changes


def statistics_file(tmp_path: Path, **action: Any) -> Path:
    content = {
        "state": {"default": spread(8)},
        "action": {"default": spread(7, **action)},
        "num_episodes": 3,
        "num_transition": 300,
    }
    path = tmp_path / "dataset_stats.json"
    path.write_text(json.dumps(content))
    return path


def test_statistics_are_read(tmp_path: Path) -> None:
    found = read_statistics(statistics_file(tmp_path), state_dim=8, action_dim=7)
    assert (found.state.dims, found.action.dims) == (8, 7)
    assert found.action.q99.tolist() == [v / 2 for v in range(2, 9)]
    with pytest.raises(ValueError, match="read-only"):
        found.action.min[0] = 1


def test_normalising_by_hand(tmp_path: Path) -> None:
    flat_dim = {
        "global_min": [3.0, -1.0], "global_max": [3.00005, 1.0], "global_std": [0.0, 0.5],
        "global_mean": [3.0, 0.25], "global_q01": [3.0, -0.5], "global_q99": [3.0, 1.5],
    }  # fmt: skip
    content = {"state": spread(2, **flat_dim), "action": spread(2)}
    (tmp_path / "s.json").write_text(json.dumps(content))
    state = read_statistics(tmp_path / "s.json").state
    x = np.array([[3.25, 0.5], [3.0, -1.0], [2.0, 100.0]])
    assert state.normalise(x, "min_max").tolist() == [[0.25, 0.5], [0, -1], [-1, 5]]
    assert state.normalise(x, "z_score").tolist() == [[0.25, 0.5], [0, -2.5], [-1, 5]]
    assert state.normalise(x, "quantile").tolist() == [[0.25, 0], [0, -1.5], [-1, 5]]
    assert state.denormalise(np.array([0.25, 0.5]), "min_max").tolist() == [3.25, 0.5]
    assert state.denormalise(np.array([0.0, 8.0]), "z_score").tolist() == [3.0, 4.25]
    assert state.normalise(x, "min_max").dtype == np.float32


@pytest.mark.parametrize("kind", ["min_max", "z_score", "quantile"])
def test_denormalising_undoes_normalising(tmp_path: Path, kind: Any) -> None:
    action = read_statistics(statistics_file(tmp_path)).action
    x = np.random.default_rng(0).uniform(-0.5, 1.0, size=(4, 16, 7))
    back = action.denormalise(action.normalise(x, kind), kind)
    np.testing.assert_allclose(back, x, atol=1e-6)
    with pytest.raises(ValueError, match="7 dimensions"):
        action.normalise(x[..., :6], kind)


def test_statistics_of_several_embodiments(tmp_path: Path) -> None:
    one = {"state": {"default": spread(8)}, "action": {"default": spread(7)}}
    two = {"state": {"default": spread(14)}, "action": {"default": spread(16)}}
    path = tmp_path / "dataset_stats.json"
    path.write_text(json.dumps({"type": "per_embodiment", "embodiments": {"a": one, "b": two}}))
    assert read_statistics(path, embodiment="b").action.dims == 16
    for name, word in ((None, "several"), ("c", "no embodiment 'c'")):
        with pytest.raises(UserError, match=word) as caught:
            read_statistics(path, embodiment=name)
        assert "name one of a, b" in str(caught.value)
    path.write_text(json.dumps({"type": "per_embodiment", "embodiments": {"a": one}}))
    assert read_statistics(path).action.dims == 7


def test_missing_statistics_say_what_they_are_for(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_statistics(tmp_path / "dataset_stats.json")
    assert str(caught.value) == (
        f"'{tmp_path}/dataset_stats.json' is missing: it is needed to turn actions into the "
        "robot's units; put the one released with the checkpoint beside it"
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"global_min": None}, "'global_min' of 'action' is not a list"),
        ({"global_min": [float("nan")] * 7}, "'global_min' of 'action' has NaN"),
        ({"global_max": [float("inf")] * 7}, "'global_max' of 'action' has NaN or inf"),
        ({"global_mean": [[0.0] * 7]}, "'global_mean' of 'action' is not a list"),
        ({"global_mean": ["a"] * 7}, "'global_mean' of 'action' is not a list"),
        ({"global_std": [0.5] * 6}, "differ in length"),
        ({"global_std": [-0.5] * 7}, "negative global_std"),
        ({"global_min": [100.0] * 7}, "global_min above its global_max"),
    ],
)
def test_bad_statistics(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    path = statistics_file(tmp_path, **changes)
    with pytest.raises(UserError, match=word) as caught:
        read_statistics(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_statistics_that_lack_something(tmp_path: Path) -> None:
    path = statistics_file(tmp_path)
    with pytest.raises(UserError, match="'state' has 8 dimensions, the policy has 14"):
        read_statistics(path, state_dim=14)
    content = json.loads(path.read_text())
    del content["action"]["default"]["global_q99"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="'action' lacks 'global_q99'"):
        read_statistics(path)
    del content["action"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="'action' is missing"):
        read_statistics(path)
    for text in ("", "[1]", "{"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"JSON|no statistics"):
            read_statistics(path)


def test_where_statistics_are(tmp_path: Path) -> None:
    checkpoint = tmp_path / "libero.pt"
    assert statistics_path(checkpoint) == tmp_path / "dataset_stats.json"
    (tmp_path / "libero_dataset_stats.json").touch()
    assert statistics_path(checkpoint) == tmp_path / "libero_dataset_stats.json"


# ---------------------------------------------------------------- inspection and hashes


def inspection(path: Path) -> dict[str, str]:
    state = Toy().state_dict()
    shapes = {name: tensor.shape for name, tensor in state.items()}
    rows = inspect_checkpoint(path, LAYOUT, shapes, {"norm.num_batches_tracked"}).rows()
    return {row["item"]: row["value"] for row in rows}


def test_inspection(good: Path) -> None:
    seen = inspection(good)
    assert seen["verdict"] == "fits the model"
    assert seen["step"] == "7"
    assert seen["aliases"] == "1 equal"
    total = sum(tensor.numel() for tensor in Toy().state_dict().values())
    assert seen["parameters"] == f"{total:,}"
    assert seen["mot.mixtures.video"] == "2 of 2 tensors, 512 parameters"
    assert seen["dtypes"] == f"float32 ({len(LAYOUT) - 1}), int64 (1)"
    assert "missing" in seen["statistics"]
    statistics_file(good.parent)
    assert inspection(good)["statistics"] == "dataset_stats.json: state 8, action 7 dimensions"


def test_inspection_shows_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(released(drop), path)
    seen = inspection(path)
    assert "is missing" in seen["verdict"]
    assert seen["missing"] == f"1: {HEAD!r}"
    assert seen["mot.mixtures.action"].startswith("8 of 9 tensors")


def test_the_audit_reads_every_value(good: Path) -> None:
    file = read_checkpoint(good)
    shapes = {name: tensor.shape for name, tensor in Toy().state_dict().items()}
    integers = {"norm.num_batches_tracked"}
    assert audit(file, LAYOUT, shapes, integers).problem() is None
    for key, tensor in file.tensors.items():  # mapped privately: the file stays as it is
        if tensor.is_floating_point() and key != ALIAS:  # which is the same memory as QK
            kept = tensor.view(-1)[-1].item()
            tensor.view(-1)[-1] = float("nan")
            assert repr(key) in (audit(file, LAYOUT, shapes, integers).problem() or ""), key
            tensor.view(-1)[-1] = kept


def test_file_hash_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    first = file_hash(path)
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert file_hash(path) == first
    path.write_bytes(b"abcd")
    assert file_hash(path) != first
    with pytest.raises(UserError, match="does not exist; check the path"):
        file_hash(tmp_path / "nothing")


def test_path_hash_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "a").write_text("a")
    (folder / "b").write_text("b")
    first = path_hash(folder)
    (folder / ".cache").write_text("ignored")
    assert path_hash(folder) == first
    assert path_hash(folder / "b") == file_hash(folder / "b")
    (folder / "b").rename(folder / "c")
    assert path_hash(folder) != first


def test_tensors_may_be_left_out(good: Path) -> None:
    file = read_checkpoint(good)
    assert set(file.tensors) - set(file.without(ALIAS, "unknown").tensors) == {ALIAS}


def test_content_hash_sees_names_dtypes_shapes_bytes_and_metadata() -> None:
    tensor = torch.zeros(4)
    base = content_hash({"a": tensor, "b": tensor}, {})
    assert content_hash({"b": tensor, "a": tensor}, {}) == base
    others: list[tuple[dict[str, Tensor], dict[str, str]]] = [
        ({"a": tensor, "c": tensor}, {}),
        ({"a": tensor, "b": tensor.int()}, {}),
        ({"a": tensor, "b": tensor.view(2, 2)}, {}),
        ({"a": tensor, "b": tensor + 1}, {}),
        ({"a": tensor, "b": tensor}, {"step": "1"}),
    ]
    hashes = {content_hash(tensors, metadata) for tensors, metadata in others}
    assert len(hashes | {base}) == 6
