"""A request as an observation, checked against what its preset says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wambench.contract import Observation, PolicySpec
from wambench.wire.limits import PIXELS, WireError, shown
from wambench.wire.presets import WirePreset

FINGERS = "gripper_qpos"  # two joints; the first opens to +0.04 m, the second to -0.04 m
SLACK_M = 0.005  # that a joint may be pressed beyond its end


def observation(
    request: Any, preset: WirePreset, spec: PolicySpec, episode: str, step: int, noise_seed: int
) -> Observation:
    """What the policy is shown; WireError names the field that is missing or unfit.

    Pictures are resized to what the policy was trained on, by PIL's bilinear filter.
    """
    if not isinstance(request, Mapping):
        raise WireError(f"a request must be a map, not a {type(request).__name__}")
    prompt = request.get(preset.prompt)
    if not isinstance(prompt, str) or not prompt.strip():
        raise WireError(f"{preset.prompt!r} must be an instruction, not {shown(prompt)}")
    return Observation(
        episode=episode,
        step=step,
        instruction=prompt,
        noise_seed=noise_seed,
        images={name: _picture(request, preset.images[name], spec) for name in spec.cameras},
        proprio=_proprio(request, preset, spec) if spec.proprio else {},
    )


def told_noise(request: Any) -> int | None:
    """The noise seed that a client of wambench names for this question; None from others."""
    cell = request.get("wambench") if isinstance(request, Mapping) else None
    if cell is None:
        return None
    found = cell.get("noise_seed") if isinstance(cell, Mapping) else cell
    if type(found) is not int or not 0 <= found < 2**63:
        raise WireError(f"'wambench' must tell a noise_seed below 2**63, not {str(found)[:40]!r}")
    return found


def _picture(request: Mapping[str, Any], key: str, spec: PolicySpec) -> NDArray[np.uint8]:
    found = request.get(key)
    if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.ndim != 3:
        raise WireError(f"{key!r} must be uint8 [H, W, 3], not {shown(found)}")
    height, width, channels = found.shape
    if channels != 3 or not 0 < height * width <= PIXELS:
        raise WireError(f"{key!r} must be uint8 [H, W, 3], not {shown(found)}")
    if spec.image_size in (None, (height, width)):
        return found
    size = (spec.image_size[1], spec.image_size[0])
    return np.array(Image.fromarray(found).resize(size, Image.Resampling.BILINEAR))


def _proprio(
    request: Mapping[str, Any], preset: WirePreset, spec: PolicySpec
) -> dict[str, NDArray[np.float64]]:
    found, length = request.get(preset.state_key), sum(dim for _, dim in preset.state)
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f" or found.shape != (length,):
        raise WireError(f"{preset.state_key!r} must be {length} floats, not {shown(found)}")
    if not np.isfinite(found).all():
        raise WireError(f"{preset.state_key!r} has {found[~np.isfinite(found)][0]}")
    parts, start = {}, 0
    for name, dim in preset.state:
        parts[name] = found[start : start + dim].astype(np.float64)
        start += dim
    _check_fingers(preset.state_key, parts.get(FINGERS, np.zeros(0)))
    return {name: parts[name] for name in spec.proprio}


def _check_fingers(key: str, qpos: NDArray[np.float64]) -> None:
    """Two fingers move apart: both on one side of 0 is one of them sent twice."""
    if len(qpos) == 2 and (qpos.min() > SLACK_M or qpos.max() < -SLACK_M):
        raise WireError(
            f"{key!r} has both fingers at {qpos[0]:.4f} and {qpos[1]:.4f} m; send the two joints, "
            f"which have opposite signs ({FINGERS})"
        )
