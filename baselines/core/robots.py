"""Between a robot's observations and a model's inputs, and between its actions and commands.

One :class:`Robot` per embodiment and training convention; a model's code knows tensors only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from baselines.core.labels import Mosaic, Picture, View, in_one_picture
from wambench import ActionSpec, Observation
from wambench.contract import Orientation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Robot:
    """An embodiment as a family of checkpoints sees it.

    Attributes:
        cameras: in the order the model takes them.
        image_size: (height, width) of each camera's image as the protocol must hand it out.
        proprio: names of the proprioception that ``state`` reads.
        scaling: how the checkpoints' statistics map numbers to about [-1, 1].
        state: proprioception [P] of an observation, not normalised.
        command: denormalised model actions [H, A] and the state [P] they were made in, to the
            suite's convention.
        intended: the way back, from commands that were given to model actions.
        mosaic: the cameras' images as one picture.
        control_hz: actions it executes in a second; None: its release does not say. LIBERO: 20,
            ``control_freq`` of its environments (libero/envs/bddl_base_domain.py).
    """

    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    orientation: Orientation
    proprio: tuple[str, ...]
    action: ActionSpec
    scaling: Literal["min_max", "z_score", "quantile"]
    state: Callable[[Mapping[str, Array]], Array]
    command: Callable[[Array, Array], Array]
    intended: Callable[[Array, Array], Array]
    mosaic: Mosaic
    control_hz: float | None = None

    def picture(self, seen: Observation) -> Picture:
        """One image [H, W, 3] of all cameras."""
        return self.mosaic([seen.images[camera] for camera in self.cameras])

    def view(self, grid: tuple[int, int]) -> View:
        """What the tokens show into whose rows and columns a model cuts that image."""
        return in_one_picture(self.mosaic, self.cameras, self.image_size, *grid)


def libero_state(proprio: Mapping[str, Array]) -> Array:
    """LIBERO's 8 numbers: position, rotation vector, the two fingers."""
    return np.concatenate([proprio[n] for n in ("eef_pos", "eef_axis_angle", "gripper_qpos")])


def opening_to_libero(actions: Array, state: Array) -> Array:
    """Turn a gripper of 1 = open, 0 = closed into LIBERO's -1 = open, +1 = close."""
    return np.concatenate([actions[:, :-1], 1.0 - 2.0 * actions[:, -1:]], axis=1)


def libero_to_opening(commands: Array, state: Array) -> Array:
    """The way back of :func:`opening_to_libero`."""
    return np.concatenate([commands[:, :-1], (1.0 - commands[:, -1:]) / 2.0], axis=1)


def unchanged(actions: Array, state: Array) -> Array:
    """Actions that are in the suite's convention already."""
    return actions


def relative_to_state(actions: Array, state: Array) -> Array:
    """Add the state's pose to the first six numbers, as openpi's first LIBERO models need it."""
    return np.concatenate([actions[:, :6] + state[:6], actions[:, 6:]], axis=1)


def without_state(commands: Array, state: Array) -> Array:
    """The way back of :func:`relative_to_state`."""
    return np.concatenate([commands[:, :6] - state[:6], commands[:, 6:]], axis=1)


def side_by_side(images: list[Picture]) -> Picture:
    """Images of equal height next to each other, the first one left."""
    return np.concatenate(images, axis=1)


def head_over_wrists(width: int, height: int, images: list[Picture]) -> Picture:
    """The head camera, ``width`` x ``height`` pixels, above two wrists half as large."""
    half = (width // 2, height // 2)
    head, left, right = (
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        for image, size in zip(images, ((width, height), half, half), strict=True)
    )
    return np.concatenate([head, side_by_side([left, right])], axis=0)


def resized(robot: Robot, size: tuple[int, int]) -> Robot:
    """The robot with the picture of all its cameras resized to ``size`` (height, width)."""
    return dataclasses.replace(robot, mosaic=partial(_resized, robot.mosaic, size))


def _resized(mosaic: Mosaic, size: tuple[int, int], images: list[Picture]) -> Picture:
    picture = Image.fromarray(mosaic(images))
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))


# What the checkpoints act with; the engine compares it with what a suite expects.
OSC_POSE = ActionSpec(
    dim=7,
    frame="world",
    mode="delta",
    translation_unit_m=0.05,
    rotation="axis_angle",
    rotation_unit_rad=0.5,
    gripper="negative_opens",
    low=-1.0,
    high=1.0,
)

LIBERO = Robot(
    cameras=("agentview", "wrist"),
    image_size=(224, 224),
    orientation="rotated_180",
    proprio=("eef_pos", "eef_axis_angle", "gripper_qpos"),
    action=OSC_POSE,
    scaling="min_max",
    state=libero_state,
    command=opening_to_libero,
    intended=libero_to_opening,
    mosaic=side_by_side,
    control_hz=20.0,
)

# openpi trains on LIBERO's own actions, -1 = open already.
LIBERO_OPENPI = dataclasses.replace(
    LIBERO, scaling="z_score", command=relative_to_state, intended=without_state
)
LIBERO_OPENPI_05 = dataclasses.replace(
    LIBERO, scaling="quantile", command=unchanged, intended=unchanged
)
# lerobot trains on HuggingFaceVLA/libero: 256 px, LIBERO's own actions.
LIBERO_LEROBOT = dataclasses.replace(
    LIBERO, image_size=(256, 256), scaling="z_score", command=unchanged, intended=unchanged
)
LIBERO_OFT = dataclasses.replace(LIBERO, scaling="quantile")

ROBOTWIN = Robot(
    cameras=("head", "left_wrist", "right_wrist"),
    image_size=(240, 320),
    orientation="upright",
    proprio=("joint_pos",),
    action=ActionSpec(
        dim=14,
        frame="joint",
        mode="absolute",
        translation_unit_m=1.0,
        rotation="none",
        rotation_unit_rad=1.0,
        gripper="positive_opens",
        low=-np.pi,
        high=np.pi,
    ),
    scaling="z_score",
    state=lambda proprio: proprio["joint_pos"],
    command=unchanged,
    intended=unchanged,
    mosaic=partial(head_over_wrists, 256, 192),  # 288x256 in all, ImageWAM's compact one
)

# 384x320 in all, FastWAM's.
ROBOTWIN_LARGE = dataclasses.replace(ROBOTWIN, mosaic=partial(head_over_wrists, 320, 256))
