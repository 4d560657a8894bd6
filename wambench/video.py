"""Draw stored episodes as films, at any size, long after they were run."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Self, cast

import av
import numpy as np
from numpy.typing import NDArray

from wambench import plugins
from wambench.cells import Cell
from wambench.clock import Decision
from wambench.episode import reset
from wambench.errors import UserError
from wambench.inset import under_way, with_inset
from wambench.naming import file_name
from wambench.protocols import Protocol

CODEC = "libx264"
QUALITY = {"crf": "18", "preset": "medium"}  # what the eye takes for lossless


class Film:
    """An H.264 film in MP4 that is being written; as a context manager.

    Args:
        path: the file.
        size: (height, width) in pixels, both even.
        fps: frames a second.
        encoding: options of the encoder.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: float,
        encoding: Mapping[str, str] = QUALITY,
    ) -> None:
        # Absolute: FFmpeg takes "a:b" for the address of a protocol a.
        self._container = av.open(str(path.absolute()), "w")
        rate = Fraction(fps).limit_denominator(1000)
        stream = self._container.add_stream(CODEC, rate=rate, options=dict(encoding))
        self._stream = cast(av.VideoStream, stream)
        self._stream.height, self._stream.width, self._stream.pix_fmt = *size, "yuv420p"

    def __enter__(self) -> Self:
        return self

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame uint8 [H, W, 3]."""
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode())
        finally:
            self._container.close()


def film_name(cell: Cell) -> str:
    """Name of the file that holds an episode's film."""
    whose = f"{file_name(cell.policy)}-{file_name(cell.suite)}"
    return f"{whose}-{cell.task_index}-{cell.init_state}-{cell.seed}.mp4"


def write_film(path: Path, frames: Iterator[NDArray[np.uint8]], fps: float) -> int:
    """Encode frames uint8 [H, W, 3] (H and W even) as H.264 in MP4; returns how many there were."""
    first = next(frames)
    count = 0
    with Film(path, (first.shape[0], first.shape[1]), fps) as film:
        for frame in itertools.chain([first], frames):
            film.add(frame)
            count += 1
    return count


def film_episode(
    path: Path,
    cell: Cell,
    rules: Protocol,
    snapshots: NDArray[np.float64],
    cameras: Sequence[str],
    size: int,
    rendering: str,
    decisions: Sequence[Decision] = (),
) -> int:
    """Draw an episode with its cameras side by side, in a process of its own.

    Args:
        path: the film to write.
        cell: whose episode.
        rules: the protocol it was run under.
        snapshots: [T + 1, n] of its trace.
        cameras: left to right.
        size: side of each camera's frame in pixels, even.
        rendering: one of the suite's.
        decisions: that were paid for; while one is under way, frames say so.

    Returns:
        Frames written.

    Raises:
        UserError: a task, camera or rendering that the suite does not have.
    """
    suite = plugins.make_suite(cell.suite)
    for what, asked, known in (
        ("camera", cameras, suite.spec.cameras),
        ("rendering", [rendering], tuple(suite.spec.renderings)),
    ):
        for name in asked:
            if name not in known:
                raise UserError(f"{cell.suite} has no {what} {name!r}; name {' or '.join(known)}")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        drawn = (path, cell, rules, snapshots, tuple(cameras), size, rendering)
        return pool.submit(_film, *drawn, tuple(decisions)).result()


def _film(
    path: Path,
    cell: Cell,
    rules: Protocol,
    snapshots: NDArray[np.float64],
    cameras: Sequence[str],
    size: int,
    rendering: str,
    decisions: Sequence[Decision],
) -> int:
    suite = plugins.make_suite(cell.suite)
    task = next((task for task in suite.tasks() if task.name == cell.task), None)
    if task is None:
        raise UserError(
            f"the installed {cell.suite} has no task {cell.task!r}; install its version"
        )
    simulator = suite.open(task, rendering)
    # Snapshots hold what moves; where fixtures stand is settled by the reset.
    reset(cell, rules, task.start(cell.init_state), simulator)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for snapshot in snapshots:
            drawn = simulator.draw(snapshot, cameras, (size, size))
            yield np.concatenate([drawn[camera] for camera in cameras], axis=1)

    part = path.with_name(f".{path.name}.part.mp4")
    hz = suite.spec.control_hz
    waits = under_way(decisions, len(snapshots))
    count = write_film(part, with_inset(frames(), waits, hz), hz)
    simulator.close()
    part.replace(path)
    return count
