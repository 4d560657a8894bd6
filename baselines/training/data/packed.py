"""Demonstrations in one small file: numbers as they are, the frames of each camera as a film.

It holds what a training reads and nothing else. A film (H.264, colours at full resolution) is a
tenth of a folder of frames and loses little; what is read is the same on every machine, since a
decoder's planes are defined to the bit and are turned into colours here, in integers, instead of
by a library whose rounding depends on the processor.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Final

import av
import h5py
import numpy as np
from numpy.typing import NDArray

from baselines.training.data.episodes import Episode, Frames, Record
from baselines.training.data.hdf5 import opened
from wambench import UserError
from wambench.errors import one_line

MARK = "wambench_packed"  # attribute of a file: the version of what is described here
VERSION = 1
NUMBERS = ("state", "actions", "labels")
TOLD = ("suite", "task", "instruction", "init_state", "seed", "every")
CODEC: Final = "libx264"
PLANES: Final = "yuv444p"


def pack(episodes: Sequence[Episode], path: Path, quality: int) -> None:
    """Write episodes, which have the same cameras; the file appears when it is complete.

    Args:
        episodes: one or more.
        path: of the file.
        quality: H.264's constant rate factor, 0 the best; 14 is 42 (wrist) and 45 dB at 64 px.
    """
    table = [{n: getattr(e, n) for n in TOLD} | {"steps": len(e)} for e in episodes]
    part = path.with_name(path.name + ".part")
    with h5py.File(part, "w") as file:
        file.attrs[MARK] = VERSION
        file["episodes"] = np.frombuffer(json.dumps(table).encode(), np.uint8)
        for name in NUMBERS:
            values = np.concatenate([getattr(episode, name) for episode in episodes])
            file.create_dataset(name, data=values, compression="gzip", shuffle=True)
        for camera in episodes[0].images:
            shots = [episode.images[camera] for episode in episodes]
            file[f"films/{camera}"] = np.frombuffer(film(shots, quality), np.uint8)
    part.replace(path)


class PackedReader:
    """Reads such files.

    Args:
        files: in any order.
        cameras: that each must have.

    Raises:
        UserError: a file is damaged or lacks a camera; the line names it.
    """

    def __init__(self, files: Sequence[Path], cameras: Sequence[str]) -> None:
        self._episodes: dict[Path, Sequence[Record]] = {}
        for file in files:
            with opened(file) as content:
                self._episodes[file] = _records(file, content)
                known = sorted(content["films"])
            if missing := sorted({*cameras} - {*known}):
                raise UserError(
                    f"{str(file)!r}: no camera {missing[0]!r} (it has {', '.join(known)}); pack it "
                    "again with that camera, or train without"
                )

    @property
    def records(self) -> Sequence[Record]:
        """All episodes, without frames."""
        return [record for records in self._episodes.values() for record in records]

    def frames(self, camera: str) -> Iterator[tuple[Record, Frames]]:
        """Each record with its frames [shots, H, W, 3]; UserError if a film is too short."""
        for file, records in self._episodes.items():
            with opened(file) as content:
                shown = _planes(content[f"films/{camera}"][()].tobytes(), file)
            for record in records:
                found = list(islice(shown, record.shots))
                if len(found) < record.shots:
                    raise UserError(
                        f"{record.source}: its film of {camera!r} ends {record.shots - len(found)} "
                        "frames early; copy the file again"
                    )
                yield record, in_colours(np.stack(found))


def is_packed(file: Path) -> bool:
    """Whether a file is one of these; not if it cannot be read at all."""
    try:
        with h5py.File(file) as content:
            return MARK in content.attrs
    except OSError:
        return False


def _records(file: Path, content: h5py.File) -> list[Record]:
    if (version := content.attrs[MARK]) != VERSION:
        raise UserError(f"{str(file)!r} is packed as version {version}, not {VERSION}; pack again")
    try:
        table = json.loads(content["episodes"][()].tobytes())
        ends = np.cumsum([0, *(row["steps"] for row in table)])
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{str(file)!r}: cannot be read ({one_line(error)[:160]}); copy it again"
        ) from None
    arrays = {name: content[name][()] for name in NUMBERS}
    return [
        Record(
            source=f"{str(file)!r}, episode {number}",
            **{name: row[name] for name in TOLD},
            **{name: values[first:last] for name, values in arrays.items()},
        )
        for number, (row, (first, last)) in enumerate(zip(table, pairwise(ends), strict=True))
    ]


def film(shots: Sequence[Frames], quality: int) -> bytes:
    """Frames [shots, H, W, 3], one episode after another, as a film."""
    written = io.BytesIO()
    with av.open(written, mode="w", format="matroska") as container:
        stream = container.add_stream(CODEC, rate=10, options={"crf": str(quality)})
        stream.height, stream.width, stream.pix_fmt = *shots[0].shape[1:3], PLANES
        for frame in chain.from_iterable(shots):
            planes = av.VideoFrame.from_ndarray(in_planes(frame), format=PLANES)
            container.mux(stream.encode(planes))
        container.mux(stream.encode())
    return written.getvalue()


def _planes(encoded: bytes, file: Path) -> Iterator[NDArray[np.uint8]]:
    """Each frame's planes [3, H, W]."""
    try:
        with av.open(io.BytesIO(encoded), mode="r") as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format=PLANES), np.uint8)
    except (av.FFmpegError, IndexError) as error:
        raise UserError(
            f"{str(file)!r}: a film cannot be read ({one_line(error)[:160]}); copy it again"
        ) from None


# ITU-R BT.601 at full range, as in JPEG (JFIF 1.02): luma, and two differences around 128.
LUMA = np.array([0.299, 0.587, 0.114])
BLUE, RED = 1.772, 1.402  # by which the differences are divided
SHIFT = 16  # bits behind the point
FIXED = 1 << SHIFT


def in_planes(frame: Frames) -> NDArray[np.uint8]:
    """Colours [H, W, 3] to planes [3, H, W]."""
    luma = frame @ LUMA
    blue, red = (frame[..., 2] - luma) / BLUE + 128, (frame[..., 0] - luma) / RED + 128
    return np.stack([luma, blue, red]).round().clip(0, 255).astype(np.uint8)


def in_colours(planes: NDArray[np.uint8]) -> Frames:
    """Planes [..., 3, H, W] to colours [..., H, W, 3], in integers."""
    luma, blue, red = np.moveaxis(planes.astype(np.int32), -3, 0)

    def plus(of_blue: float, of_red: float) -> NDArray[np.int32]:
        added = round(FIXED * of_blue) * (blue - 128) + round(FIXED * of_red) * (red - 128)
        return luma + ((added + FIXED // 2) >> SHIFT)

    green = plus(-BLUE * LUMA[2] / LUMA[1], -RED * LUMA[0] / LUMA[1])
    colours = np.stack([plus(0, RED), green, plus(BLUE, 0)], axis=-1)
    return colours.clip(0, 255).astype(np.uint8)
