"""What a policy is shown while it is profiled: never zeros, which some kernels run faster on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wambench.contract import Observation, PolicySpec

INSTRUCTION = "pick up the alphabet soup and place it in the basket"
"""The reference instruction; where a policy trims its text, its cost depends on the words."""

FREE_SIZE = (256, 256)  # of a policy that takes images of any size
FREE_DIM = 7  # of proprioception that is not listed here, and of joints
PROPRIO_DIMS = {"eef_pos": 3, "eef_axis_angle": 3, "gripper_qpos": 2}
SPREAD = 0.3  # of proprioception


def observations(spec: PolicySpec, count: int, seed: int = 0) -> Sequence[Observation]:
    """Made-up observations, each another: smooth colours with noise, small numbers.

    A robot that is commanded by its joints has as many joint positions as commands.
    """
    joints = spec.action.dim if spec.action and spec.action.frame == "joint" else FREE_DIM
    dims = PROPRIO_DIMS | {"joint_pos": joints}
    random = np.random.default_rng(seed)
    size = spec.image_size or FREE_SIZE
    return [
        Observation(
            episode=f"profile-{seed}",
            step=index,
            instruction=INSTRUCTION,
            noise_seed=int(random.integers(2**31)),
            images={camera: _image(random, size) for camera in spec.cameras},
            proprio={
                name: made_up_state(random, name, dims.get(name, FREE_DIM)) for name in spec.proprio
            },
            privileged={n: random.normal(0, 0.3, FREE_DIM) for n in spec.privileged},
            foreseen={
                camera: np.stack([_image(random, size) for _ in spec.foresees])
                for camera in spec.cameras
                if spec.foresees
            },
        )
        for index in range(count)
    ]


def made_up_state(random: np.random.Generator, name: str, dim: int) -> np.ndarray:
    """Proprioception [dim]; two fingers are on opposite sides, or servers would refuse them."""
    drawn = random.normal(0, SPREAD, dim)
    return np.abs(drawn) * [0.1, -0.1] if name == "gripper_qpos" else drawn


def _image(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A picture of every brightness: [h, w, 3] uint8."""
    rows, columns = np.linspace(0, 1, size[0])[:, None, None], np.linspace(0, 1, size[1])[:, None]
    corners = random.uniform(0, 255, (4, 3))
    top = corners[0] * (1 - columns) + corners[1] * columns
    bottom = corners[2] * (1 - columns) + corners[3] * columns
    smooth = top * (1 - rows) + bottom * rows
    return np.clip(smooth + random.normal(0, 20, (*size, 3)), 0, 255).astype(np.uint8)
