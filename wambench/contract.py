"""What a policy and a suite tell each other: specifications, observations, action chunks.

Specifications are pydantic models (they go into passports as JSON); observations are plain
dataclasses (they are made thousands of times per episode).

Non-obvious behaviours:

* An orientation is part of the contract because half the field trains on mirrored images. See
  :data:`Orientation`.
* ``Observation.noise_seed`` is derived from (suite, task, init state, seed, step) and not from the
  policy, so two policies that draw noise draw the *same* noise on the same cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from wambench.errors import PolicyFault

EXPERT_ACTION = "expert_action"
"""Privileged information: what a suite's scripted expert would do now, where the suite has one."""

Pixel = TypeVar("Pixel", bound=np.generic)

Orientation = Literal["upright", "opengl", "rotated_180"]
"""How an image array is laid out.

``upright``: row 0 is the top of the scene, as a person sees it.
``opengl``: row 0 is the bottom, as OpenGL hands pixels out.
``rotated_180``: an ``opengl`` image turned by 180 degrees, which is upright but mirrored left to
right; what OpenVLA, openpi, FastWAM and ImageWAM train on.
"""

Gripper = Literal["raw", "sign"]
"""``sign``: the last action dimension becomes -1 below 0 and +1 from 0 on; ``raw``: it stays."""


class Frozen(BaseModel):
    """Immutable, strict base of all specifications: an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ActionSpec(Frozen):
    """The convention of one action vector; every field must agree between policy and suite."""

    dim: int = Field(gt=0)
    frame: Literal["world", "base", "eef", "joint"]
    mode: Literal["delta", "absolute", "velocity"]
    translation_unit_m: float = Field(description="metres that the value 1.0 stands for")
    rotation: Literal["axis_angle", "euler_xyz", "quaternion_xyzw", "rot6d", "none"]
    rotation_unit_rad: float = Field(description="radians that the value 1.0 stands for")
    gripper: Literal["negative_opens", "positive_opens", "none"]
    low: float
    high: float


class ProprioField(Frozen):
    """One named vector of proprioception."""

    dim: int = Field(gt=0)
    unit: str
    about: str


class SuiteSpec(Frozen):
    """What a suite offers to policies."""

    name: str
    version: int = Field(description="raised whenever a cell of this suite may change its result")
    about: str
    like: str | None = Field(
        default=None, description="the suite whose budget it has where a protocol names that one"
    )
    family: str | None = Field(
        default=None, description="of suites whose perturbed states are counted together"
    )
    simulator: str
    control_hz: float = Field(gt=0)
    cameras: tuple[str, ...]
    proprio: Mapping[str, ProprioField]
    privileged: Mapping[str, int] = Field(
        default={}, description="name -> dim of what no real robot could know (an expert's action)"
    )
    action: ActionSpec
    settle_action: tuple[float, ...] = Field(description="a no-op that lets objects come to rest")
    renderings: Mapping[str, str] = Field(description="rendering preset -> what it changes")
    default_max_steps: int = Field(gt=0)
    grippers: tuple[Gripper, ...] = Field(
        default=("raw", "sign"), description="gripper rules of protocols that make sense here"
    )
    render_size: tuple[int, int] | None = Field(
        default=None, description="the only (height, width) its frames may be drawn at; None: any"
    )
    memory_mb: int = Field(gt=0, description="measured peak of one simulator process")
    step_seconds: float = Field(gt=0, description="measured CPU seconds of one control step")
    look_seconds: float = Field(gt=0, description="measured CPU seconds of drawing all cameras")
    open_seconds: float = Field(gt=0, description="measured CPU seconds to open one task")

    @model_validator(mode="after")
    def _settle_action_fits(self) -> Self:
        if len(self.settle_action) != self.action.dim:
            raise ValueError(f"settle_action has {len(self.settle_action)} of {self.action.dim}")
        return self


class PolicySpec(Frozen):
    """What a policy needs and what it produces."""

    paradigm: str = Field(description="scripted, imagewam, videowam, vla, …")
    track: Literal["scripted", "nano", "published", "external"] = "external"
    about: str
    version: int = 1
    cameras: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = Field(
        default=None, description="(height, width) it must be given; None: any"
    )
    orientation: Orientation | None = Field(default=None, description="None: any")
    proprio: tuple[str, ...] = ()
    privileged: tuple[str, ...] = ()
    foresees: tuple[int, ...] = Field(
        default=(),
        description="an oracle: control steps ahead at which it is shown the future "
        "that the suite's expert would bring about",
    )
    action: ActionSpec | None = Field(
        default=None, description="None: adapts to the action spec in EpisodeStart"
    )
    horizon: int = Field(default=1, gt=0, description="actions in one chunk")
    replan_steps: int | None = Field(
        default=None, gt=0, description="actions it means to execute where the protocol has no say"
    )
    inpaints: bool = Field(
        default=False, description="its chunk can begin with actions that are already committed"
    )
    max_batch: int = Field(default=32, gt=0)
    num_gpus: float = Field(default=0, ge=0)

    @property
    def moved_by(self) -> tuple[str, ...]:
        """Privileged information that moves its answers, what it foresees by included."""
        return (*self.privileged, *((EXPERT_ACTION,) if self.foresees else ()))


class Needs(Frozen):
    """What a policy takes to run; for people who choose one."""

    parameters: Mapping[str, int] = Field(
        default={}, description="component -> number of parameters, as built"
    )
    files: Mapping[str, str] = Field(
        default={}, description="option -> what its path must lead to, for every file it lacks"
    )
    memory_gb: float = Field(default=0, ge=0, description="of weights alone, 10^9 bytes")


@dataclass(frozen=True)
class EpisodeStart:
    """Told to the policy before the first observation of an episode."""

    episode: str  # unique within the policy process; the key of any memory the policy keeps
    suite: str
    task: str
    instruction: str
    init_state: int
    action: ActionSpec
    noise_seed: int


@dataclass(frozen=True)
class Observation:
    """What the policy sees when it is asked for a chunk.

    ``images``: camera -> uint8 [H, W, 3] in the protocol's orientation. ``proprio`` and
    ``privileged``: name -> float64 [dim], only the names the policy asked for. ``step`` counts
    control steps since settling. ``committed``: float64 [k, dim], what is executed from this step
    on whatever the answer, where the protocol tells it (real-time chunking). ``foreseen``: camera
    -> uint8 [T, H, W, 3], laid out as ``images``, for a policy whose spec ``foresees``.
    """

    episode: str
    step: int
    instruction: str
    noise_seed: int
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    proprio: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    privileged: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    committed: NDArray[np.float64] | None = None
    foreseen: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


def checked_chunk(chunk: object, spec: ActionSpec, horizon: int) -> NDArray[np.float64]:
    """Return a policy's answer as float64 [H, dim], 1 <= H <= ``horizon``, or raise PolicyFault.

    Values outside ``[low, high]`` are clipped, as all harnesses known to us do; NaN and
    infinity are faults.
    """
    if not isinstance(chunk, np.ndarray):
        raise PolicyFault(
            f"act() returned {type(chunk).__name__}; return a numpy array [H, {spec.dim}] "
            "for each observation"
        )
    if chunk.dtype.kind != "f":
        raise PolicyFault(f"act() returned dtype {chunk.dtype}; return float32 or float64")
    if chunk.ndim != 2 or chunk.shape[1] != spec.dim or not 1 <= chunk.shape[0] <= horizon:
        raise PolicyFault(
            f"act() returned shape {chunk.shape}; expected [1..{horizon}, {spec.dim}] as declared"
        )
    if not np.isfinite(chunk).all():
        row, column = np.argwhere(~np.isfinite(chunk))[0]
        raise PolicyFault(
            f"act() returned {chunk[row, column]} at action {row}, dimension {column}"
        )
    return np.clip(chunk.astype(np.float64), spec.low, spec.high)


def orient(image: NDArray[Pixel], orientation: Orientation) -> NDArray[Pixel]:
    """Return an upright image [H, W, ...] in ``orientation``, contiguous; each undoes itself."""
    turned = {
        "upright": image,
        "opengl": image[::-1],
        "rotated_180": image[:, ::-1],
    }[orientation]
    return np.ascontiguousarray(turned)


def mismatches(
    policy: PolicySpec,
    suite: SuiteSpec,
    *,
    image_size: tuple[int, int],
    orientation: Orientation,
) -> Sequence[str]:
    """List every way in which ``policy`` does not fit ``suite`` under a protocol's images."""
    found = []
    for kind, needed, offered in (
        ("camera", policy.cameras, suite.cameras),
        ("proprioception", policy.proprio, suite.proprio),
        ("privileged information", policy.moved_by, suite.privileged),
    ):
        for name in needed:
            if name not in offered:
                has = ", ".join(offered) or "none"
                found.append(f"needs {kind} {name!r}, which {suite.name} lacks (it has {has})")
    if policy.cameras and policy.image_size not in (None, image_size):
        found.append(f"needs images of {policy.image_size}, the protocol gives {image_size}")
    if policy.cameras and policy.orientation not in (None, orientation):
        found.append(f"needs {policy.orientation} images, the protocol gives {orientation}")
    if policy.action is not None:
        for name in ActionSpec.model_fields:
            ours, theirs = getattr(policy.action, name), getattr(suite.action, name)
            if ours != theirs:
                found.append(f"acts with {name}={ours!r}, {suite.name} expects {theirs!r}")
    return found
