"""The interface of one open task. It knows nothing of any simulator or physics engine."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wambench.facts import Facts, Role


def state_digest(state: NDArray[np.float64]) -> int:
    """64-bit BLAKE2 of a physical state, for :meth:`Simulator.digest`."""
    return int.from_bytes(hashlib.blake2b(state.tobytes(), digest_size=8).digest(), "little")


class Simulator(ABC):
    """One open task. Not thread-safe; one per process.

    The state of an episode is a function of (init state, seed, actions) alone.
    """

    @abstractmethod
    def reset(self, init_state: int, seed: int, *, seed_once_per_task: bool = False) -> None:
        """Begin an episode at fixed initial state ``init_state``.

        ``seed_once_per_task`` reproduces harnesses that seed before the first trial only: trial k
        then sees what the random generator yields after k earlier resets.
        """

    @abstractmethod
    def step(self, action: NDArray[np.float64]) -> None:
        """Advance one control step with an action [dim] in the suite's convention."""

    @abstractmethod
    def success(self) -> bool:
        """Whether the official success predicate holds now."""

    @abstractmethod
    def snapshot(self) -> NDArray[np.float64]:
        """Return what is needed to draw the present camera frames later: float64 [n], n fixed."""

    @abstractmethod
    def draw(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Draw camera -> uint8 [H, W, 3], upright, of a snapshot taken in this task.

        Never disturbs the episode in progress.
        """

    def sense(
        self, frames: Mapping[str, NDArray[np.uint8]], snapshot: NDArray[np.float64]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Return what the sensors make of drawn frames, camera -> uint8 [H, W, 3], upright.

        Only what the policy is given passes through here: films, regions and overlays show the
        scene itself. A function of (init state, snapshot, frames) alone; by default nothing is
        changed.
        """
        return frames

    @abstractmethod
    def proprio(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Return the named proprioception, float64 [dim] each, as of the present frame."""

    @abstractmethod
    def privileged(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Return what only a simulator can know, float64 [dim] each (an expert's action, …)."""

    def facts(self, snapshot: NDArray[np.float64]) -> Facts | None:
        """Tell what a snapshot taken in this task shows; None from a simulator that cannot.

        Fixtures must stand where they stood: reset to the episode's beginning first. Never
        disturbs the episode in progress.
        """
        return None

    def regions(
        self, snapshot: NDArray[np.float64], cameras: Sequence[str], size: tuple[int, int]
    ) -> Mapping[str, Mapping[Role, NDArray[np.bool_]]]:
        """Return camera -> role -> bool [H, W], laid out as :meth:`draw` lays out frames.

        Every pixel has exactly one role. Empty from a simulator that cannot tell.
        """
        return {}

    @abstractmethod
    def digest(self) -> int:
        """64-bit hash of the full physical state, to prove replays bit-identical."""

    @abstractmethod
    def close(self) -> None:
        """Free what the simulator holds outside this process's memory."""
