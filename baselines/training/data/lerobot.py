"""Demonstrations in LeRobot's layout, versions 2.0, 2.1 and 3.0.

Version 2 has a table and a video per episode; version 3 packs several episodes into each table and
each video, and says in ``meta/episodes`` where an episode is. Both name their paths in
``meta/info.json``. Frames are videos, or pictures inside the tables.

What the layout does not say is LIBERO's habit: ``observation.state`` is position, rotation vector
and fingers, the frames of a row are what was seen before its action, and they are turned by 180
degrees. The released conversions differ in the gripper: -1 opens as in LIBERO, or 1 opens and 0
closes; ``opening_gripper`` says which.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
from PIL import Image

from baselines.training.data.episodes import Frames, Numbers, Record
from baselines.training.data.frames import camera_key, rotated
from baselines.training.data.video import Span, episodes_in
from wambench import UserError
from wambench.contract import Orientation
from wambench.errors import one_line

PREFIX = "observation.images."
CAMERA_KEYS = {
    "agentview": (*(PREFIX + n for n in ("image", "agentview", "agentview_rgb")), "image"),
    "wrist": (
        *(PREFIX + n for n in ("wrist_image", "wrist", "eye_in_hand", "eye_in_hand_rgb", "image2")),
        "wrist_image",
    ),
}
STATE_KEYS = ("observation.state", "state")
ACTION_KEYS = ("action", "actions")


@dataclass(frozen=True)
class _Place:
    """Where one episode is."""

    index: int
    tasks: Sequence[str]
    table: Path
    videos: Mapping[str, tuple[Path, float]]  # key -> file, seconds at which the episode begins


class LeRobotReader:
    """Reads one data set.

    Args:
        root: the folder with ``meta/info.json``.
        cameras: that it must have.
        camera_keys: camera -> its feature, where it is not a usual one.
        orientation: of its frames.
        opening_gripper: its actions' gripper is 1 = open, 0 = closed.

    Raises:
        UserError: a file or an episode is unfit; the line names it.
    """

    def __init__(
        self,
        root: Path,
        cameras: Sequence[str],
        camera_keys: Mapping[str, str],
        orientation: Orientation = "rotated_180",
        *,
        opening_gripper: bool = False,
    ) -> None:
        self._root, self._orientation = root, orientation
        file = root / "meta" / "info.json"
        info = repr(str(file))
        self._info = _json(file)
        with _reading(file):
            features = dict(self._info["features"])
            dtypes = {name: feature["dtype"] for name, feature in features.items()}
        pictures = {name: kind for name, kind in dtypes.items() if kind in ("video", "image")}
        self._keys = {
            camera: camera_key(camera, pictures, camera_keys, CAMERA_KEYS, info)
            for camera in cameras
        }
        self._is_video = {key: pictures[key] == "video" for key in self._keys.values()}
        self._state = _feature(STATE_KEYS, features, info)
        self._action = _feature(ACTION_KEYS, features, info)
        self._places = dict(self._read(opening_gripper))
        if not self._places:
            raise UserError(f"{str(root)!r}: holds no episodes; name another folder")
        _check_gripper(root, self.records, opening_gripper)

    @property
    def records(self) -> Sequence[Record]:
        """All episodes, without frames."""
        return list(self._places)

    def frames(self, camera: str) -> Iterator[tuple[Record, Frames]]:
        """Each record with its frames [T, H, W, 3]; UserError if they cannot be read."""
        key = self._keys[camera]
        source = self._from_videos(key) if self._is_video[key] else self._from_tables(key)
        for record, frames in source:
            yield record, rotated(frames, self._orientation)

    def _from_videos(self, key: str) -> Iterator[tuple[Record, Frames]]:
        files: dict[Path, list[Span]] = {}
        for record, place in self._places.items():
            file, start = place.videos[key]
            files.setdefault(file, []).append(Span(record, start))
        for file, spans in files.items():
            yield from episodes_in(file, float(self._info["fps"]), spans)

    def _from_tables(self, key: str) -> Iterator[tuple[Record, Frames]]:
        records = {(place.table, place.index): record for record, place in self._places.items()}
        for file in dict.fromkeys(place.table for place in self._places.values()):
            for index, rows in _by_episode(file, [key]).items():
                record = records.get((file, index))
                if record is not None:
                    with _reading(file):
                        yield record, np.stack([_picture(value) for value in rows[key]])

    def _read(self, opening_gripper: bool) -> Iterator[tuple[Record, _Place]]:
        info = self._root / "meta" / "info.json"
        version = str(self._info.get("codebase_version"))
        with _reading(info):
            if version.startswith("v2"):
                places = list(self._places_v2())
            elif version.startswith("v3"):
                places = list(self._places_v3())
            else:
                raise UserError(
                    f"{str(info)!r}: codebase_version {version!r} is not read; convert it to v2.1 "
                    "or v3.0 with lerobot"
                )
        tasks = _tasks(self._root / "meta")
        columns = [self._state, self._action]
        columns += ["task_index"] if "task_index" in self._info["features"] else []
        tables: dict[Path, dict[int, pd.DataFrame]] = {}  # the last one read
        for place in places:
            if place.table not in tables:
                tables = {place.table: _by_episode(place.table, columns)}
            source = f"{str(place.table)!r}, episode {place.index}"
            rows = tables[place.table].get(place.index)
            if rows is None:
                raise UserError(f"{source}: has no rows; copy the file again")
            yield self._record(source, place, rows, tasks, opening_gripper), place

    def _record(
        self,
        source: str,
        place: _Place,
        rows: pd.DataFrame,
        tasks: Mapping[int, str],
        opening_gripper: bool,
    ) -> Record:
        instruction = place.tasks[0] if len(place.tasks) else ""
        if "task_index" in rows:
            numbers = sorted({int(number) for number in rows["task_index"]})
            if len(numbers) > 1:
                what = f"{source}: changes its instruction midway"
                raise UserError(f"{what} (tasks {numbers}); split the episode or remove it")
            instruction = tasks.get(numbers[0], instruction)
        if not instruction:
            raise UserError(f"{source}: no instruction in meta/tasks or meta/episodes; write one")
        actions = _stacked(rows[self._action], source, self._action)
        if opening_gripper:
            actions = np.concatenate([actions[:, :-1], 1.0 - 2.0 * actions[:, -1:]], axis=1)
        return Record(
            source=source,
            suite=self._root.name,
            task=instruction.replace(" ", "_"),
            instruction=instruction,
            init_state=None,
            seed=None,
            state=_stacked(rows[self._state], source, self._state),
            actions=actions,
            labels=actions,
        )

    def _places_v2(self) -> Iterator[_Place]:
        info, root = self._info, self._root
        for episode in _lines(root / "meta" / "episodes.jsonl"):
            index = int(episode["episode_index"])
            names = {"episode_index": index, "episode_chunk": index // int(info["chunks_size"])}
            videos = {
                key: (root / info["video_path"].format(video_key=key, **names), 0.0)
                for key, is_video in self._is_video.items()
                if is_video
            }
            table = root / info["data_path"].format(**names)
            yield _Place(index, episode.get("tasks", ()), table, videos)

    def _places_v3(self) -> Iterator[_Place]:
        info, root = self._info, self._root
        videos = [key for key, is_video in self._is_video.items() if is_video]
        parts = ["chunk_index", "file_index"]
        columns = ["episode_index", "tasks", *(f"data/{part}" for part in parts)]
        columns += [f"videos/{k}/{part}" for k in videos for part in (*parts, "from_timestamp")]
        for file in sorted((root / "meta" / "episodes").rglob("[!.]*.parquet")):
            for row in _table(file, columns).to_dict("records"):
                table = info["data_path"].format(**{p: int(row[f"data/{p}"]) for p in parts})
                places = {}
                for key in videos:
                    names = {part: int(row[f"videos/{key}/{part}"]) for part in parts}
                    path = root / info["video_path"].format(video_key=key, **names)
                    places[key] = (path, float(row[f"videos/{key}/from_timestamp"]))
                tasks = list(row["tasks"])
                yield _Place(int(row["episode_index"]), tasks, root / table, places)


def _check_gripper(root: Path, records: Sequence[Record], opening_gripper: bool) -> None:
    """Refuse data whose gripper is of the other convention: it would be learned in silence."""
    gripper = np.concatenate([record.actions[:, -1] for record in records])
    if not opening_gripper and gripper.min() >= 0:
        what = "the gripper's action is never negative, so 1 seems to open and 0 to close"
        raise UserError(f"{str(root)!r}: {what}; read it with opening_gripper")
    if opening_gripper and gripper.max() > 1:
        what = f"the gripper's action reaches {(1 - gripper.max()) / 2:g}, so it is not 0 to 1"
        raise UserError(f"{str(root)!r}: {what}; read it without opening_gripper")


def _tasks(meta: Path) -> dict[int, str]:
    """Number -> instruction; empty where the data set has no such table."""
    lines, table = meta / "tasks.jsonl", meta / "tasks.parquet"
    if lines.is_file():
        with _reading(lines):
            return {int(task["task_index"]): str(task["task"]) for task in _lines(lines)}
    if table.is_file():  # the instruction is the index of this table, or a column
        with _reading(table):
            frame = pd.read_parquet(table)
            words = frame.get("task", frame.index)
            return {int(n): str(t) for n, t in zip(frame["task_index"], words, strict=True)}
    return {}


def _feature(names: Sequence[str], features: Mapping[str, Any], source: str) -> str:
    for name in names:
        if name in features:
            return name
    has = ", ".join(sorted(features)) or "none"
    raise UserError(f"{source}: lacks feature {' or '.join(names)} (it has {has}); add it")


def _stacked(values: pd.Series, source: str, name: str) -> Numbers:
    try:
        return np.stack([np.asarray(row, np.float32) for row in values])
    except (ValueError, TypeError):
        what = f"rows of {name!r} are no vectors of one length"
        raise UserError(f"{source}: {what}; write the episode again or remove it") from None


def _picture(value: Mapping[str, Any]) -> Frames:
    return np.asarray(Image.open(io.BytesIO(value["bytes"])).convert("RGB"))


def _table(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    with _reading(file):
        return pyarrow.parquet.ParquetFile(file).read(list(columns)).to_pandas()


def _by_episode(file: Path, columns: Sequence[str]) -> dict[int, pd.DataFrame]:
    rows = _table(file, ["episode_index", *columns])
    return {
        int(number): rows[rows.episode_index == number] for number in rows.episode_index.unique()
    }


def _json(file: Path) -> dict[str, Any]:
    with _reading(file):
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        if not isinstance(content, dict):
            raise ValueError("not an object")
        return content


def _lines(file: Path) -> list[dict[str, Any]]:
    with _reading(file):
        return [
            json.loads(line) for line in file.read_text("utf-8-sig").splitlines() if line.strip()
        ]


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn what libraries say of a broken file into a UserError."""
    try:
        yield
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(
            f"{str(file)!r}: cannot be read ({one_line(error)[:160]}); copy or convert it again"
        ) from None
