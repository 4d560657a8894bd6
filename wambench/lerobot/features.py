"""The columns of a LeRobot data set, by what a suite offers.

Where a suite has the cameras and state named here, these are called and put together as in the
published LeRobot sets of a Panda arm, so that what reads those reads these. Other suites keep their
own names.
"""

from __future__ import annotations

from typing import Any

from wambench.contract import Orientation, SuiteSpec

ROBOT_STATE = ("eef_pos", "eef_axis_angle", "gripper_qpos")  # 3 + 3 + 2: m, rad, m
CAMERA_NAMES = {"agentview": "image", "wrist": "wrist_image"}
ORIENTATION: Orientation = "rotated_180"  # of the frames, as in the published sets
ARM_AND_GRIPPER = ("x", "y", "z", "rx", "ry", "rz", "gripper")

STATE, ACTION = "observation.state", "action"
PICTURE_AXES = ["height", "width", "channel"]
SCALARS = {
    "next.reward": "float32",
    "next.done": "bool",
    "next.success": "bool",
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def state_fields(suite: SuiteSpec) -> tuple[str, ...]:
    """The proprioception that makes up ``observation.state``, in its order."""
    if all(name in suite.proprio for name in ROBOT_STATE):
        return ROBOT_STATE
    return tuple(suite.proprio)


def camera_keys(suite: SuiteSpec) -> dict[str, str]:
    """Camera -> the feature that holds its frames."""
    return {name: f"observation.images.{CAMERA_NAMES.get(name, name)}" for name in suite.cameras}


def rate(suite: SuiteSpec) -> int | float:
    """Frames a second; whole where it is whole, as LeRobot wants it."""
    return int(suite.control_hz) if suite.control_hz.is_integer() else suite.control_hz


def features(suite: SuiteSpec, size: int) -> dict[str, Any]:
    """``features`` of ``meta/info.json`` for frames of ``size`` pixels a side."""
    out: dict[str, Any] = {}
    for key in camera_keys(suite).values():
        out[key] = {
            "dtype": "video",
            "shape": [size, size, 3],
            "names": PICTURE_AXES,
            "info": {
                "video.fps": rate(suite),
                "video.height": size,
                "video.width": size,
                "video.channels": 3,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "has_audio": False,
            },
        }
    state = [name for field in state_fields(suite) for name in _numbered(suite, field)]
    if state:
        out[STATE] = _vector(state)
    out[ACTION] = _vector(_action_names(suite))
    return out | {name: _scalar(dtype) for name, dtype in SCALARS.items()}


def _vector(names: list[str]) -> dict[str, Any]:
    return {"dtype": "float32", "shape": [len(names)], "names": names}


def _scalar(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}


def _numbered(suite: SuiteSpec, field: str) -> list[str]:
    dim = suite.proprio[field].dim
    if dim == 1:
        return [field]
    return [f"{field}_{axis}" for axis in ("xyz" if dim == 3 else range(dim))]


def _action_names(suite: SuiteSpec) -> list[str]:
    action = suite.action
    if action.dim == len(ARM_AND_GRIPPER) and action.frame != "joint":
        return list(ARM_AND_GRIPPER)
    return [f"action_{number}" for number in range(action.dim)]
