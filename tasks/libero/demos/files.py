"""One HDF5 file for each task, in the layout of LIBERO's released demonstrations.

``data/demo_<i>`` holds actions, states, robot_states, rewards, dones and obs/…, under the names,
shapes and units of LIBERO's ``scripts/create_dataset.py``. What differs:

* ``obs[t]`` is what a policy sees *before* action t; LIBERO's own files have it after the step.
* ``expert_actions`` is new: the action to imitate. ``actions`` was executed, noise included.
* ``init_state`` is the number of the benchmark's initial state; LIBERO's is a state vector.
* Where the file's ``draw_every`` is n > 1, pictures in ``obs`` are of the steps 0, n, 2 n, … only.
* There is no ``model_file``: it names paths of the machine that wrote it.
* The instruction is worded as the benchmark words it at evaluation.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tasks.libero.demos.recording import Demonstration

PICTURES = {"agentview": "agentview_rgb", "wrist": "eye_in_hand_rgb"}
# A scene's background repeats from frame to frame, which deflate sees while several frames fit
# into its window of 32 KiB.
FRAMES_PER_CHUNK = 32
GZIP_LEVEL = 4


class DemoFile:
    """Writes one task's file; it appears under its name when it is complete, or never.

    Args:
        path: the file.
        attributes: of the file; says what it is made from (see :mod:`tasks.libero.demos.jobs`).
        libero: attributes of the group ``data``, which LIBERO's loaders read.
    """

    def __init__(
        self, path: Path, attributes: Mapping[str, Any], libero: Mapping[str, Any]
    ) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(self._part, "w")
        self._file.attrs.update(attributes)
        self._data = self._file.create_group("data")
        self._data.attrs.update(libero)
        self._hash = hashlib.blake2b(digest_size=16)
        self._steps = 0

    def add(self, demo: Demonstration, takeover: int | None = None) -> None:
        """Append a demonstration; ``takeover``: the step of its cell at which it begins."""
        cell, arrays = demo.episode.cell, layout(demo)
        group = self._data.create_group(f"demo_{len(self._data)}")
        length = len(demo.episode.actions)
        group.attrs.update(
            {
                "num_samples": length,
                "init_state": cell.init_state,
                "seed": cell.seed,
                "instruction": self._file.attrs["instruction"],
                "cell": cell.key,
            }
        )
        if takeover is not None:
            group.attrs["takeover"] = takeover
        for name, values in arrays.items():
            self._hash.update(f"{group.name}/{name} {values.dtype} {values.shape}".encode())
            self._hash.update(np.ascontiguousarray(values).tobytes())
            chunks = (min(len(values), FRAMES_PER_CHUNK), *values.shape[1:])
            packing = (
                {"chunks": chunks, "compression": "gzip", "compression_opts": GZIP_LEVEL}
                if values.ndim == 4
                else {}
            )
            group.create_dataset(name, data=values, **packing)
        self._steps += length

    def finish(self) -> None:
        """Give the file its counts, the hash of its content, and its name."""
        self._data.attrs.update({"num_demos": len(self._data), "total": self._steps})
        self._file.attrs["content_hash"] = self._hash.hexdigest()
        self._file.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError, RuntimeError):  # a full disk fails once more here
            self._file.close()
        self._part.unlink(missing_ok=True)


def layout(demo: Demonstration) -> dict[str, NDArray]:
    """Name of a data set -> values [T, …], pictures [n, …], as LIBERO's loaders look for them."""
    see, length = demo.proprio, len(demo.episode.actions)
    last = np.zeros(length, np.uint8)
    last[-1] = 1
    numbers: dict[str, NDArray] = {
        "actions": demo.episode.actions,
        "expert_actions": demo.expert_actions,
        "states": demo.states,
        "robot_states": np.hstack([see["gripper_qpos"], see["eef_pos"], see["eef_quat"]]),
        "rewards": last,
        "dones": last,
        "obs/ee_pos": see["eef_pos"],
        "obs/ee_ori": see["eef_axis_angle"],
        "obs/ee_states": np.hstack([see["eef_pos"], see["eef_axis_angle"]]),
        "obs/gripper_states": see["gripper_qpos"],
        "obs/joint_states": see["joint_pos"],
    }
    return numbers | {f"obs/{PICTURES[name]}": frames for name, frames in demo.frames.items()}


def libero_attributes(
    instruction: str, problem: str, bddl_file: str, size: tuple[int, int]
) -> dict[str, Any]:
    """Attributes of ``data`` that LIBERO's own loaders read, ``problem`` being its class."""
    environment = {
        "type": 1,  # robomimic's number for robosuite
        "env_name": problem,
        "problem_name": problem.lower(),
        "bddl_file": bddl_file,
        "env_kwargs": {
            "robots": ["Panda"],
            "controller": "OSC_POSE",
            "control_freq": 20,
            "camera_names": ["robot0_eye_in_hand", "agentview"],
            "camera_heights": size[0],
            "camera_widths": size[1],
        },
    }
    information = {
        "problem_name": problem.lower(),
        "domain_name": "robosuite",
        "language_instruction": instruction,
    }
    return {
        "env_name": problem,
        "env_args": json.dumps(environment),
        "problem_info": json.dumps(information),
        "bddl_file_name": bddl_file,
        "macros_image_convention": "opengl",
        "tag": "libero-v1",
    }


def stored_attributes(file: Path) -> Mapping[str, Any]:
    """Attributes of a file; empty for one that is no HDF5 file."""
    try:
        with h5py.File(file, "r") as content:
            return dict(content.attrs)
    except OSError:
        return {}


def stored_cells(file: Path) -> set[str]:
    """Keys of the cells whose episodes a file of ours holds; none if there is no such file."""
    if not file.exists():
        return set()
    with h5py.File(file, "r") as content:
        return {str(group.attrs["cell"]) for group in content["data"].values()}
