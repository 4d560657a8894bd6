"""Open demonstrations of any known layout, split them, refuse what is held out for evaluation."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baselines.training.data.episodes import Episode, Record, data_hash, in_order
from baselines.training.data.frames import Reader, Size, with_frames
from wambench import UserError
from wambench.contract import Orientation

TRAIN_INIT_STATES = range(30)
"""Of a task's 50 initial states; the other twenty are for evaluation only."""

VALIDATION_SHARE = 0.05
CAMERAS = ("agentview", "wrist")


@dataclass(frozen=True, eq=False, kw_only=True)
class Demonstrations:
    """Demonstrations in memory, in an order of their own that does not depend on files.

    Attributes:
        cameras: whose frames were read.
        size: (height, width) of the frames.
        train: what to train on.
        validation: episodes of the same initial states that are not trained on.
    """

    cameras: tuple[str, ...]
    size: Size
    train: tuple[Episode, ...]
    validation: tuple[Episode, ...]

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """All of them."""
        return self.train + self.validation

    @property
    def unchecked(self) -> int:
        """Episodes whose files do not tell their initial state, so that it may be a held-out one.

        LIBERO's own files and LeRobot's layout never tell it.
        """
        return sum(episode.init_state is None for episode in self.episodes)

    @functools.cached_property
    def instructions(self) -> tuple[str, ...]:
        """All instructions, sorted; a sample's ``instruction`` is an index in them."""
        return tuple(sorted({episode.instruction for episode in self.episodes}))

    @functools.cached_property
    def data_hash(self) -> str:
        """Hash of all episodes; see :func:`baselines.training.data.episodes.data_hash`."""
        return data_hash(self.episodes)


def open_demos(
    path: Path | Sequence[Path],
    size: Size | None = None,
    cameras: Sequence[str] = CAMERAS,
    *,
    camera_keys: Mapping[str, str] | None = None,
    orientation: Orientation = "rotated_180",
    opening_gripper: bool = False,
    validation: float = VALIDATION_SHARE,
    seed: int = 0,
) -> Demonstrations:
    """Read demonstrations into memory.

    Args:
        path: one or several: an HDF5 file (LIBERO's layout, or of ``wambench pack``), a folder with
            such files at any depth, a LeRobot data set, or a folder of LeRobot data sets.
        size: (height, width) of the frames, resized as evaluation does; None: as they are.
        cameras: to read.
        camera_keys: camera -> its name in the files, where it is not a usual one.
        orientation: of LeRobot frames (HDF5 files tell their own).
        opening_gripper: LeRobot's gripper action is 1 = open, 0 = closed.
        validation: share in [0, 1) of the episodes that are kept from training.
        seed: of that choice.

    Raises:
        UserError: data that are missing, broken, inconsistent or held out; the line names file and
            episode.
    """
    if not 0 <= validation < 1:
        raise UserError(f"validation={validation:g} is not a share; use 0 or more, and less than 1")
    if not cameras:
        raise UserError("no camera to read; name at least one")
    keys = dict(camera_keys or {})
    readers: list[Reader] = []
    for root in [path] if isinstance(path, Path) else path:
        readers += _readers(root, cameras, keys, orientation, opening_gripper)
    records = in_order(record for reader in readers for record in reader.records)
    for record in records:
        _refuse_held_out(record)
    episodes_of = with_frames(readers, cameras, size)
    episodes = [episodes_of[record] for record in records]
    kept = _kept(len(episodes), validation, seed)
    return Demonstrations(
        cameras=tuple(cameras),
        size=episodes[0].images[cameras[0]].shape[1:3],
        train=tuple(episode for i, episode in enumerate(episodes) if i not in kept),
        validation=tuple(episode for i, episode in enumerate(episodes) if i in kept),
    )


def _readers(
    root: Path,
    cameras: Sequence[str],
    keys: Mapping[str, str],
    orientation: Orientation,
    opening_gripper: bool,
) -> list[Reader]:
    """Readers of all that a path leads to; the layout is told by the files."""
    if not root.exists():
        raise UserError(
            f"no demonstrations: {str(root)!r} does not exist; write some with 'wambench demos'"
        )
    folders = sorted(
        info.parent.parent
        for info in [*root.glob("meta/info.json"), *root.glob("*/meta/info.json")]
    )
    if folders:
        from baselines.training.data.lerobot import LeRobotReader

        return [
            LeRobotReader(f, cameras, keys, orientation, opening_gripper=opening_gripper)
            for f in folders
        ]
    files = [root] if root.is_file() else sorted(root.rglob("[!.]*.hdf5"))
    if files:
        from baselines.training.data.hdf5 import Hdf5Reader
        from baselines.training.data.packed import PackedReader, is_packed

        packed = [file for file in files if is_packed(file)]
        others = [file for file in files if file not in packed]
        read: list[Reader] = [PackedReader(packed, cameras)] if packed else []
        return [*read, Hdf5Reader(others, cameras, keys)] if others else read
    if not any(root.iterdir()):
        raise UserError(f"{str(root)!r} is empty; write demonstrations with 'wambench demos'")
    raise UserError(
        f"{str(root)!r} holds demonstrations of no known layout; name a folder with *.hdf5 "
        "files or a LeRobot data set (meta/info.json)"
    )


def _refuse_held_out(record: Record) -> None:
    if record.init_state is not None and record.init_state not in TRAIN_INIT_STATES:
        last = TRAIN_INIT_STATES[-1]
        raise UserError(
            f"{record.source}: initial state {record.init_state} is held out for evaluation; "
            f"remove the episode and train on states 0 to {last}"
        )


def _kept(count: int, share: float, seed: int) -> set[int]:
    """Numbers of the episodes for validation: as near to the share as can be, some but not all."""
    wanted = min(max(round(count * share), 1), count - 1) if share else 0
    return set(np.random.default_rng(seed).permutation(count)[:wanted].tolist())
