"""Where the files of a data set lie, and how each of them is written: whole or not at all.

An episode's table is written after its videos and carries the episode's statistics in its own
metadata, so the table alone says that an episode is complete and with what. ``meta/info.json`` is
written last of all: LeRobot opens no folder without it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from wambench.lerobot.features import camera_keys, features, rate
from wambench.lerobot.plan import Entry, Plan

VERSION = "v2.1"
CHUNK = 1000  # episodes in a folder
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
ORIGIN = "meta/wambench.json"
INFO = "meta/info.json"
ABOUT = b"wambench"  # key of a table's metadata


def table_file(root: Path, index: int) -> Path:
    """An episode's table."""
    return root / DATA_PATH.format(episode_chunk=index // CHUNK, episode_index=index)


def video_file(root: Path, key: str, index: int) -> Path:
    """An episode's video of one camera."""
    chunk = index // CHUNK
    return root / VIDEO_PATH.format(episode_chunk=chunk, video_key=key, episode_index=index)


def part_of(file: Path) -> Path:
    """Where a file is written before it gets its name."""
    return file.with_name(f".{file.stem}.part{file.suffix}")


def write_text(file: Path, text: str) -> None:
    """Write a file; it appears whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part_of(file).write_text(text, encoding="utf-8")
    part_of(file).replace(file)


def write_table(file: Path, columns: Mapping[str, NDArray], about: Mapping[str, Any]) -> None:
    """Write columns [T] or [T, n] as parquet; it appears whole."""
    arrays = {name: _column(values) for name, values in columns.items()}
    table = pa.table(arrays).replace_schema_metadata({ABOUT: json.dumps(about)})
    file.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, part_of(file))
    part_of(file).replace(file)


def _column(values: NDArray) -> pa.Array:
    if values.ndim == 1 or values.shape[1] == 1:  # LeRobot keeps vectors of one number as numbers
        return pa.array(values.ravel())
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def read_about(file: Path) -> dict[str, Any] | None:
    """What a table says of its episode; None if there is no whole table of ours."""
    try:
        metadata = pyarrow.parquet.read_schema(file).metadata or {}
        return json.loads(metadata[ABOUT])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return None


def is_whole(root: Path, entry: Entry, keys: Iterable[str]) -> bool:
    """Whether an episode's files are there, and are this episode's."""
    about = read_about(table_file(root, entry.index))
    videos = [video_file(root, key, entry.index) for key in keys]
    return (
        about is not None and about["cell"] == entry.cell.key and all(v.is_file() for v in videos)
    )


def write_index(root: Path, plan: Plan) -> None:
    """Write ``meta/`` over episodes that are all there."""
    entries, keys = plan.entries, camera_keys(plan.suite)
    abouts = [read_about(table_file(root, entry.index)) or {} for entry in entries]
    tasks = [{"task_index": n, "task": words} for n, words in enumerate(plan.instructions)]
    write_text(root / "meta/tasks.jsonl", _lines(tasks))
    write_text(root / "meta/episodes.jsonl", _lines([_episode(entry) for entry in entries]))
    statistics = [
        {"episode_index": entry.index, "stats": about["stats"]}
        for entry, about in zip(entries, abouts, strict=True)
    ]
    write_text(root / "meta/episodes_stats.jsonl", _lines(statistics))
    info = {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": len(entries),
        "total_frames": sum(entry.steps for entry in entries),
        "total_tasks": len(tasks),
        "total_videos": len(entries) * len(keys),
        "total_chunks": -(-len(entries) // CHUNK),
        "chunks_size": CHUNK,
        "fps": rate(plan.suite),
        "splits": {"train": f"0:{len(entries)}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if keys else None,
        "features": features(plan.suite, plan.look.size),
    }
    write_text(root / INFO, json.dumps(info, indent=4) + "\n")


def _episode(entry: Entry) -> dict[str, Any]:
    """LeRobot's three fields, and what the run knows besides."""
    cell = entry.cell
    return {
        "episode_index": entry.index,
        "tasks": [entry.instruction],
        "length": entry.steps,
        "outcome": entry.outcome,
        "policy": cell.policy,
        "suite": cell.suite,
        "suite_task": cell.task_index,
        "init_state": cell.init_state,
        "seed": cell.seed,
        "cell": cell.key,
    }


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rows_of(entry: Entry, fps: float) -> dict[str, NDArray]:
    """The columns that an episode's number and length decide, each [T]."""
    frames = np.arange(entry.steps)
    ends = frames == entry.steps - 1
    success = ends & (entry.outcome == "success")
    return {
        "next.reward": success.astype(np.float32),
        "next.done": ends,
        "next.success": success,
        "timestamp": (frames / fps).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.full_like(frames, entry.index),
        "index": frames + entry.start,
        "task_index": np.full_like(frames, entry.task_index),
    }
