"""Play recorded actions open loop, in chunks, looking at both cameras each time.

It decides nothing from the images; it exists to measure and test the machinery with a policy that
costs nothing, looks like a chunked image policy, and still succeeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wambench import EpisodeStart, Observation, Policy, PolicySpec, UserError


class ReplayPolicy(Policy):
    """Plays actions from an ``.npz`` file of arrays float64 [T, A] named ``suite/task/init_state``.

    Args:
        actions: the file, as ``wambench export RUN --actions FILE`` writes it.
        horizon: actions in one chunk; past the end of a recording the last action repeats.
    """

    def __init__(self, actions: str, horizon: int = 16) -> None:
        self._file = Path(actions)
        if not self._file.is_file():
            raise UserError(f"replay: no file {actions!r}; make it with wambench export --actions")
        self.spec = PolicySpec(
            paradigm="scripted",
            track="scripted",
            about="recorded actions, open loop, looking at both cameras",
            cameras=("agentview", "wrist"),
            proprio=("eef_pos", "gripper_qpos"),
            horizon=horizon,
        )
        self._recordings: Mapping[str, NDArray[np.float64]] = {}
        self._playing: dict[str, NDArray[np.float64]] = {}

    def load(self) -> None:
        """Read the recordings."""
        with np.load(self._file) as archive:
            self._recordings = dict(archive)

    def fingerprint(self) -> Mapping[str, str]:
        """Hash of the recordings."""
        return {"actions": hashlib.blake2b(self._file.read_bytes(), digest_size=16).hexdigest()}

    def reset(self, start: EpisodeStart) -> None:
        """Find the episode's recording."""
        name = f"{start.suite}/{start.task}/{start.init_state}"
        if name not in self._recordings:
            raise UserError(f"replay: {self._file.name} holds no recording of {name}")
        self._playing[start.episode] = self._recordings[name]

    def act(self, observations: Sequence[Observation]) -> Sequence[NDArray[np.floating]]:
        """The recording from the present step on, [H, A] each."""
        chunks = []
        for seen in observations:
            recording = self._playing[seen.episode]
            index = np.minimum(np.arange(self.spec.horizon) + seen.step, len(recording) - 1)
            chunks.append(recording[index])
        return chunks

    def forget(self, episode: str) -> None:
        """Drop the recording's reference."""
        self._playing.pop(episode, None)
