"""Demonstrations in LIBERO's HDF5 layout: ``wambench demos``' files and LIBERO's released ones.

Two conventions share the layout; a file says which by its attribute ``orientation``, which ours
have and LIBERO's lack:

* Ours keep in ``obs[t]`` what a policy sees *before* action t.
* LIBERO's own were written after the step (its scripts/create_dataset.py), so ``obs[t]`` is what a
  policy sees before action t + 1. They are read so that both mean the same: the first action and
  the last observation have no partner and are dropped. Their attribute ``init_state`` is a vector
  of the simulator and not the number of an initial state, so they have none here. Their
  ``problem_info`` words the task otherwise than the benchmark does at evaluation, which takes the
  words from the task's name; so does this reader, where the file is named ``<task>_demo.hdf5``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from baselines.training.data.episodes import Frames, Record
from baselines.training.data.frames import camera_key, rotated
from wambench import UserError
from wambench.contract import Orientation
from wambench.errors import one_line

CAMERA_KEYS = {"agentview": ("agentview_rgb",), "wrist": ("eye_in_hand_rgb",)}
STATE_KEYS = ("ee_pos", "ee_ori", "gripper_states")
SUFFIX = "_demo"
# robosuite's name of a layout, which LIBERO's files note, to ours
CONVENTIONS: Mapping[str, Orientation] = {"opengl": "opengl", "opencv": "upright"}
REWRITE = "copy or write it again"


@dataclass(frozen=True)
class _Place:
    """Where an episode's frames are."""

    file: Path
    demo: str
    orientation: Orientation
    late: bool  # observations come one step late

    @property
    def seen(self) -> slice:
        """Observations that have an action after them."""
        return slice(0, -1) if self.late else slice(None)

    @property
    def done(self) -> slice:
        """Actions that have an observation before them."""
        return slice(1, None) if self.late else slice(None)


class Hdf5Reader:
    """Reads files of the layout.

    Args:
        files: in any order.
        cameras: that every episode must have.
        camera_keys: camera -> its name in ``obs``, where it is not the usual one.

    Raises:
        UserError: a file or an episode is unfit; the line names it.
    """

    def __init__(
        self, files: Sequence[Path], cameras: Sequence[str], camera_keys: Mapping[str, str]
    ) -> None:
        self._keys = camera_keys
        self._places: dict[Record, _Place] = {}
        for file in files:
            with opened(file) as content:
                for record, place in _episodes(file, content):
                    for camera in cameras:
                        self._pictures(camera, content, record, place)
                    self._places[record] = place

    @property
    def records(self) -> Sequence[Record]:
        """All episodes, without frames."""
        return list(self._places)

    def frames(self, camera: str) -> Iterator[tuple[Record, Frames]]:
        """Each record with its frames [T, H, W, 3]; UserError if they cannot be read."""
        by_file = itertools.groupby(self._places.items(), key=lambda item: item[1].file)
        for file, items in by_file:
            with opened(file) as content:
                for record, place in items:
                    frames = self._pictures(camera, content, record, place)[place.seen]
                    yield record, rotated(frames, place.orientation)

    def _pictures(
        self, camera: str, content: h5py.File, record: Record, place: _Place
    ) -> h5py.Dataset:
        group = content[f"data/{place.demo}/obs"]
        names = [n for n, v in group.items() if isinstance(v, h5py.Dataset) and v.ndim == 4]
        return group[camera_key(camera, names, self._keys, CAMERA_KEYS, record.source)]


def _episodes(file: Path, content: h5py.File) -> Iterator[tuple[Record, _Place]]:
    if not isinstance(content.get("data"), h5py.Group):
        raise UserError(f"{str(file)!r}: has no group 'data'; it is not of LIBERO's layout")
    group = content["data"]
    attributes = {**content.attrs, **group.attrs}
    if not len(group):
        raise UserError(f"{str(file)!r}: holds no episodes; remove it")
    for name in group:
        place = _Place(file, name, _orientation(file, attributes), "orientation" not in attributes)
        yield _record(place, group[name], attributes), place


def _record(place: _Place, demo: h5py.Group, attributes: Mapping[str, Any]) -> Record:
    source = _source(place.file, place.demo)
    own = {} if place.late else {**attributes, **demo.attrs}
    state = [_numbers(demo, f"obs/{name}", source) for name in STATE_KEYS]
    lengths = {name: len(values) for name, values in zip(STATE_KEYS, state, strict=True)}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UserError(f"{source}: lengths differ ({found}); write the episode again or remove it")
    actions = _numbers(demo, "actions", source)
    labels = _numbers(demo, "expert_actions", source) if "expert_actions" in demo else actions
    task = place.file.stem.removesuffix(SUFFIX)
    return Record(
        source=source,
        suite=_text(own.get("suite", place.file.parent.name)),
        task=_text(own.get("task", task)),
        instruction=_instruction(place, own, attributes),
        init_state=_integer(own, "init_state", source),
        seed=_integer(own, "seed", source),
        state=np.concatenate(state, axis=1)[place.seen],
        actions=actions[place.done],
        labels=labels[place.done],
        every=_integer(own, "draw_every", source) or 1,
    )


def _instruction(place: _Place, own: Mapping[str, Any], attributes: Mapping[str, Any]) -> str:
    if "instruction" in own:
        return _text(own["instruction"])
    try:
        words = json.loads(_text(attributes["problem_info"]))["language_instruction"]
    except (KeyError, ValueError, TypeError):
        raise UserError(
            f"{_source(place.file, place.demo)}: no instruction in 'problem_info'; write one, "
            "or write attributes 'instruction' and, if frames come before actions, 'orientation'"
        ) from None
    if place.late and place.file.stem.endswith(SUFFIX):
        return spoken(place.file.stem.removesuffix(SUFFIX))
    return words.strip('" ') if isinstance(words, str) else " ".join(map(str, words))


def spoken(task: str) -> str:
    """A task's name as LIBERO's benchmark words it: no scene in front, blanks between words."""
    return re.sub(r"^[A-Z0-9_]*SCENE\d+_", "", task).replace("_", " ")


def _orientation(file: Path, attributes: Mapping[str, Any]) -> Orientation:
    if "orientation" not in attributes:
        convention = _text(attributes.get("macros_image_convention", "opengl"))
        return CONVENTIONS.get(convention, "opengl")
    name = _text(attributes["orientation"])
    for known in get_args(Orientation):
        if name == known:
            return known
    remedy = f"write one of {', '.join(get_args(Orientation))}"
    raise UserError(f"{str(file)!r}: orientation {name!r} is unknown; {remedy}")


def _numbers(demo: h5py.Group, name: str, source: str) -> np.ndarray:
    if name not in demo:
        raise UserError(f"{source}: lacks {name!r}; write the episode again or remove it")
    values = np.asarray(demo[name][()])
    if values.dtype.kind not in "fiu" or values.ndim != 2:
        what = f"{values.dtype} {list(values.shape)}"
        raise UserError(f"{source}: {name!r} is {what} instead of numbers [T, n]; write it again")
    return values.astype(np.float32)


def _integer(attributes: Mapping[str, Any], name: str, source: str) -> int | None:
    if name not in attributes:
        return None
    value = np.asarray(attributes[name])
    if value.ndim or value.dtype.kind not in "iu":
        raise UserError(f"{source}: attribute {name!r} is {value}, not a number; write it again")
    return int(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _source(file: Path, demo: str) -> str:
    return f"{str(file)!r}, {demo}"


@contextlib.contextmanager
def opened(file: Path) -> Iterator[h5py.File]:
    """An open file; what h5py says of broken ones becomes a UserError."""
    try:
        with h5py.File(file, "r") as content:
            yield content
    except (OSError, KeyError, RuntimeError) as error:
        raise UserError(
            f"{str(file)!r}: cannot be read ({one_line(error)[:160]}); {REWRITE}"
        ) from None
