"""One demonstration in memory, the same whatever file it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wambench import UserError

Frames = NDArray[np.uint8]
Numbers = NDArray[np.float32]

STATE_DIM = 8  # position, rotation vector, the two fingers: baselines.core.robots.libero_state
ACTION_DIM = 7  # six deltas and the gripper, in LIBERO's convention: -1 opens, +1 closes


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """A demonstration of T steps without its frames; checked when made, UserError if unfit.

    Step t is what a policy sees before action t, and action t.

    Attributes:
        source: file and episode, as messages name it; no part of the data.
        init_state: number of the benchmark's initial state; None: the file does not say.
        seed: of the episode; None: the file does not say.
        state: float32 [T, 8], metres, radians, metres.
        actions: float32 [T, 7], what was executed.
        labels: float32 [T, 7], what is to be imitated: the same, unless the demonstrator was
            disturbed on purpose.
        every: control steps from a frame to the next; frame i is of step i * every.
    """

    source: str
    suite: str
    task: str
    instruction: str
    init_state: int | None
    seed: int | None
    state: Numbers
    actions: Numbers
    labels: Numbers
    every: int = 1

    def __post_init__(self) -> None:
        steps = len(self.actions)
        if not steps:
            raise UserError(f"{self.source}: has no steps; remove the episode")
        if not self.instruction.strip():
            raise UserError(f"{self.source}: its instruction is empty; write one or leave it out")
        if self.every < 1:
            raise UserError(f"{self.source}: draw_every is {self.every}; write the episode again")
        for name, values, dims in (
            ("state", self.state, STATE_DIM),
            ("actions", self.actions, ACTION_DIM),
            ("labels", self.labels, ACTION_DIM),
        ):
            if values.ndim != 2 or values.shape[1] != dims:
                what = f"{name} {list(values.shape)} instead of [T, {dims}]"
                raise UserError(f"{self.source}: has {what}; train on data of LIBERO's robot")
            if len(values) != steps:
                what = f"{len(values)} steps of {name}, {steps} of actions"
                raise UserError(f"{self.source}: has {what}; write the episode again or remove it")
            if not np.isfinite(values).all():
                step, dim = np.argwhere(~np.isfinite(values))[0]
                what = f"{values[step, dim]} in {name} at step {step}, dimension {dim}"
                raise UserError(f"{self.source}: has {what}; remove the episode")

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def shots(self) -> int:
        """Number of frames of a camera."""
        return -(-len(self) // self.every)


@dataclass(frozen=True, eq=False, kw_only=True)
class Episode(Record):
    """A demonstration with its frames.

    Attributes:
        images: camera -> uint8 [shots, h, w, 3] in orientation ``rotated_180``, read-only; slices
            of one array per camera that all episodes share.
    """

    images: Mapping[str, Frames]


def numbers_digest(record: Record) -> str:
    """Hash of states, actions and labels."""
    digest = hashlib.blake2b(digest_size=16)
    for values in (record.state, record.actions, record.labels):
        digest.update(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def in_order(records: Iterable[Record]) -> list[Record]:
    """Sort by content, so that names and order of files change neither split nor batches."""

    def key(record: Record) -> tuple[str, int, int, str]:
        init_state, seed = (-1 if n is None else n for n in (record.init_state, record.seed))
        return record.instruction, init_state, seed, numbers_digest(record)

    return sorted(records, key=key)


def data_hash(episodes: Iterable[Episode]) -> str:
    """Hash of what is trained on: frames at their size, numbers, instructions, initial states.

    It does not depend on the order of the episodes, on paths, nor on names of suites and tasks,
    which some layouts only have as names of folders.
    """
    digests = []
    for episode in episodes:
        head = (episode.instruction, episode.init_state, episode.seed, numbers_digest(episode))
        digest = hashlib.blake2b(repr(head).encode(), digest_size=16)
        for camera in sorted(episode.images):
            frames = episode.images[camera]
            digest.update(repr((camera, frames.shape)).encode())
            digest.update(np.ascontiguousarray(frames).data)
        digests.append(digest.digest())
    return hashlib.blake2b(b"".join(sorted(digests)), digest_size=16).hexdigest()
