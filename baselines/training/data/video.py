"""Frames of episodes out of video files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from baselines.training.data.episodes import Frames, Record
from wambench import UserError
from wambench.errors import one_line


@dataclass(frozen=True)
class Span:
    """Where an episode lies in a video file: from ``start`` seconds on, a frame for each step."""

    record: Record
    start: float


def episodes_in(video: Path, fps: float, spans: Sequence[Span]) -> Iterator[tuple[Record, Frames]]:
    """Decode a file once, from its beginning, and hand out each episode's frames [T, H, W, 3].

    A frame belongs to the step nearest to its time stamp; frames of no episode are passed over.

    Args:
        video: any file that FFmpeg reads.
        fps: of the data set, in Hz.
        spans: of the episodes wanted.

    Raises:
        UserError: the file is missing, broken, or lacks frames of an episode.
    """
    frames = _decoded(video)
    ahead = next(frames, None)
    for span in sorted(spans, key=lambda span: span.start):
        found: list[Frames] = []
        while ahead is not None and len(found) < len(span.record):
            time, picture = ahead
            step = round((time - span.start) * fps)
            if step > len(found):
                break  # a frame is missing
            if step == len(found):
                found.append(picture)
            ahead = next(frames, None)
        if len(found) < len(span.record):
            raise UserError(
                f"{span.record.source}: {str(video)!r} has {len(found)} of its {len(span.record)} "
                f"frames from {span.start:.2f} s on; copy the video again or remove the episode"
            )
        yield span.record, np.stack(found)


def _decoded(video: Path) -> Iterator[tuple[float, Frames]]:
    """Time in seconds and picture [H, W, 3] of every frame."""
    try:
        with av.open(str(video.absolute())) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                if frame.time is not None:
                    yield frame.time, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise UserError(
            f"{str(video)!r}: cannot be read ({one_line(error)[:160]}); copy it again"
        ) from None
