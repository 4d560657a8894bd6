"""Packed demonstrations: numbers to the bit, frames nearly, damage told in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from baselines.training.data import packed
from baselines.training.data.episodes import numbers_digest
from tests.conftest import CommandLine, Refused
from tests.test_training_data import DEMOS, SIDE, opened, write_hdf5
from wambench import UserError


def test_a_packed_file_has_the_numbers_and_nearly_the_frames(
    tmp_path: Path, wambench: CommandLine
) -> None:
    smooth = [replace(demo, steps=12, changes={}) for demo in DEMOS[:2]]
    write_hdf5(tmp_path / "a" / "a.hdf5", smooth)
    file = tmp_path / "packed" / "both.hdf5"
    ended = wambench("pack", tmp_path / "a", "--out", file)
    assert ended.code == 0 and "2 episodes, 48 frames" in ended.out, ended.err
    there, here = opened(tmp_path / "a", validation=0), opened(file.parent, validation=0)
    for one, other in zip(there.episodes, here.episodes, strict=True):
        assert (one.instruction, one.init_state, one.seed) == (
            other.instruction, other.init_state, other.seed
        )  # fmt: skip
        assert numbers_digest(one) == numbers_digest(other)
        for camera, frames in one.images.items():
            gap = np.abs(frames.astype(int) - other.images[camera])
            assert gap.mean() < 3 and gap.max() < 60, camera
    assert here.data_hash == opened(file, validation=0).data_hash != there.data_hash
    mixed = opened([tmp_path / "a", file])
    assert len(mixed.episodes) == 4
    with pytest.raises(UserError, match=r"no camera 'above' \(it has agentview, wrist\); pack it"):
        opened(file, cameras=["above"])


def test_planes_are_read_as_colours_in_integers() -> None:
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    colours[0, :3] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    read = packed.in_colours(packed.in_planes(colours))
    assert read.dtype == np.uint8 and np.abs(read.astype(int) - colours).max() <= 1
    grey = np.stack([np.full((2, 2), value, np.uint8) for value in (77, 128, 128)])
    np.testing.assert_array_equal(packed.in_colours(grey), np.full((2, 2, 3), 77))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda f: f["episodes"].__setitem__(0, 0), "cannot be read (JSONDecodeError"),
        (lambda f: f.attrs.__setitem__("wambench_packed", 2), "is packed as version 2, not 1"),
        (lambda f: f.__delitem__("labels"), "cannot be read ("),
        (lambda f: f.__delitem__("films"), "cannot be read ("),
        (lambda f: f["films/wrist"].__setitem__(slice(0, 64), 0), "a film cannot be read ("),
        (lambda f: shorten(f, "agentview"), "its film of 'agentview' ends"),
    ],
)
def test_a_damaged_packed_file(
    tmp_path: Path, wambench: CommandLine, spoil: Callable[[h5py.File], None], line: str
) -> None:
    write_hdf5(tmp_path / "a.hdf5", DEMOS)
    file = tmp_path / "packed.hdf5"
    assert wambench("pack", tmp_path / "a.hdf5", "--out", file).code == 0
    with h5py.File(file, "r+") as content:
        spoil(content)
    with pytest.raises(UserError) as raised:
        opened(file)
    assert str(raised.value).startswith(f"'{file}'") and line in str(raised.value)
    assert "\n" not in str(raised.value)


def shorten(content: h5py.File, camera: str) -> None:
    """Leave a film of three frames."""
    shown = np.full((3, SIDE, SIDE, 3), 9, np.uint8)
    del content[f"films/{camera}"]
    content[f"films/{camera}"] = np.frombuffer(packed.film([shown], 20), np.uint8)


@pytest.mark.parametrize(
    ("out", "line"),
    [("b.h5", "call it b.hdf5"), ("a.hdf5", "is there"), ("a.hdf5/b.hdf5", "choose another --out")],
)
def test_where_nothing_is_packed(work: Path, refused: Refused, out: str, line: str) -> None:
    write_hdf5(work / "a.hdf5", DEMOS)
    refused("pack", "a.hdf5", "--out", out, expected=(f"'{out}'", line))
