"""Frames from files into memory: found by camera, turned, resized, kept in one array each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Protocol

import numpy as np
from PIL import Image

from baselines.training.data.episodes import Episode, Frames, Record
from wambench import UserError
from wambench.contract import Orientation

Size = tuple[int, int]  # height, width


class Reader(Protocol):
    """The episodes of some files: numbers at once, frames on demand."""

    @property
    def records(self) -> Sequence[Record]:
        """All episodes, without frames."""

    def frames(self, camera: str) -> Iterator[tuple[Record, Frames]]:
        """Each record with its frames [shots, H, W, 3], already turned to ``rotated_180``."""


def rotated(frames: Frames, orientation: Orientation) -> Frames:
    """Frames [T, H, W, 3] laid out as ``orientation``, as a view laid out as ``rotated_180``."""
    if orientation == "upright":
        return frames[:, :, ::-1]
    return frames[:, ::-1, ::-1] if orientation == "opengl" else frames


def camera_key(
    camera: str,
    available: Iterable[str],
    chosen: Mapping[str, str],
    usual: Mapping[str, Sequence[str]],
    source: str,
) -> str:
    """Name under which a file keeps a camera.

    Args:
        camera: as the suite calls it.
        available: the file's names.
        chosen: camera -> name, by the user; where it has the camera, nothing else is tried.
        usual: camera -> names to try, besides the camera's own.
        source: for the message.

    Raises:
        UserError: the file has none of them.
    """
    names = list(available)
    wanted = [chosen[camera]] if camera in chosen else [*usual.get(camera, ()), camera]
    for name in wanted:
        if name in names:
            return name
    raise UserError(
        f"{source}: no camera {camera!r} under {' or '.join(wanted)} (it has "
        f"{', '.join(sorted(names)) or 'none'}); name its key, or train without that camera"
    )


def with_frames(
    readers: Sequence[Reader], cameras: Sequence[str], size: Size | None
) -> dict[Record, Episode]:
    """Read all frames into one array per camera.

    Args:
        readers: of all files.
        cameras: to read.
        size: (height, width) to resize to, by the filter that evaluation uses
            (:func:`wambench.episode.fit_image`); None: as in the files.

    Returns:
        Each record's episode; its images are slices of the arrays.

    Raises:
        UserError: frames that are missing, not uint8 RGB, or of different sizes.
    """
    records = [record for reader in readers for record in reader.records]
    ends = np.cumsum([record.shots for record in records])
    spans = {
        record: slice(end - record.shots, end) for record, end in zip(records, ends, strict=True)
    }
    images: dict[Record, dict[str, Frames]] = {record: {} for record in records}
    store_size = size
    for camera in cameras:
        store: Frames | None = None
        first: tuple[Record, Size] | None = None
        for reader in readers:
            for record, frames in reader.frames(camera):
                _check(record, camera, frames)
                height, width = frames.shape[1:3]
                first = first or (record, (height, width))
                if first[1] != (height, width):
                    raise UserError(_sizes(camera, record, (height, width), *first))
                store_size = store_size or (height, width)
                if size is None and store_size != (height, width):
                    what = f"{record.source}: camera {camera!r} is {height}x{width}, another one"
                    raise UserError(f"{what} {store_size[0]}x{store_size[1]}; name a size for both")
                if store is None:
                    store = np.empty((ends[-1], *store_size, 3), np.uint8)
                _fit(frames, store[spans[record]])
        if store is not None:
            store.setflags(write=False)
            for record in records:
                images[record][camera] = store[spans[record]]
    return {record: _episode(record, images[record]) for record in records}


def _check(record: Record, camera: str, frames: Frames) -> None:
    what = f"{record.source}: camera {camera!r} has"
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        found = f"{frames.dtype} {list(frames.shape)}"
        raise UserError(f"{what} {found} instead of uint8 [T, h, w, 3]; write it again as RGB")
    if len(frames) != record.shots:
        found = f"{len(frames)} frames for {len(record)} actions"
        found += f", one for every {record.every}" if record.every > 1 else ""
        raise UserError(f"{what} {found}; write the episode again or remove it")


def _sizes(camera: str, record: Record, size: Size, first: Record, first_size: Size) -> str:
    sizes = f"{size[0]}x{size[1]}, but {first_size[0]}x{first_size[1]} in {first.source}"
    return f"{record.source}: camera {camera!r} is {sizes}; draw all at one size, or leave one out"


def _fit(frames: Frames, out: Frames) -> None:
    """Write frames into ``out`` [T, h, w, 3], resized if need be."""
    height, width = out.shape[1:3]
    if frames.shape == out.shape:
        for channel in range(3):  # long rows: three times as fast as pixel by pixel
            out[..., channel] = frames[..., channel]
        return
    for index, frame in enumerate(frames):
        image = Image.fromarray(np.ascontiguousarray(frame))
        out[index] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _episode(record: Record, images: Mapping[str, Frames]) -> Episode:
    return Episode(**{f.name: getattr(record, f.name) for f in fields(record)}, images=images)
