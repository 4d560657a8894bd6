"""Statistics as openpi, openvla-oft and lerobot write them, in the form all families share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from baselines.core.checkpoints.statistics import Array, Spread, Statistics
from wambench import UserError


def openpi_statistics(path: Path, state_dim: int, action_dim: int) -> Statistics:
    """Read openpi's ``norm_stats.json``; dimensions beyond the robot's (padding) are dropped."""
    content = _read(path)
    content = content.get("norm_stats", content)
    return Statistics(
        state=_spread(path, content, "state", state_dim),
        action=_spread(path, content, "actions", action_dim),
    )


def oft_statistics(path: Path, state_dim: int, action_dim: int) -> Statistics:
    """Read openvla-oft's ``dataset_statistics.json`` of a single data set.

    Dimensions that its ``mask`` leaves out (the gripper) pass through unchanged.
    """
    content = _read(path)
    if len(content) != 1:
        raise UserError(
            f"{str(path)!r} has the data sets {', '.join(sorted(content)) or 'none'}, one is "
            "needed; keep the one the checkpoint was fine-tuned on"
        )
    (only,) = content.values()
    return Statistics(
        state=_spread(path, only, "proprio", state_dim),
        action=_spread(path, only, "action", action_dim),
    )


def lerobot_statistics(path: Path, state_dim: int, action_dim: int) -> Statistics:
    """Read a normaliser of lerobot, as it lies beside a checkpoint of lerobot 0.4 or later.

    Mean and deviation count; of the other fields not every release has all, and they come as NaN.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        content = load_file(path)
    except FileNotFoundError:
        raise _missing(path) from None
    except (SafetensorError, OSError):
        raise UserError(f"{str(path)!r} is no readable safetensors file; get it again") from None

    def spread(part: str, dims: int) -> Spread:
        found = [content.get(f"{part}.{name}", np.empty(0)) for name in ("mean", "std")]
        if any(one.shape != (dims,) or not np.isfinite(one).all() for one in found):
            raise UserError(
                f"{str(path)!r}: 'mean' and 'std' of {part!r} must be {dims} numbers each; "
                "get the file released with the checkpoint"
            )
        mean, std = (one.astype(np.float64) for one in found)
        unknown = np.full(dims, np.nan)
        return Spread(unknown, unknown, mean, std, unknown, unknown)

    return Statistics(
        state=spread("observation.state", state_dim), action=spread("action", action_dim)
    )


def _missing(path: Path) -> UserError:
    return UserError(
        f"{str(path)!r} is missing: it is needed to turn actions into the robot's units; "
        "name the statistics released with the checkpoint"
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise _missing(path) from None
    except (ValueError, OSError):
        raise UserError(f"{str(path)!r} is not readable JSON; get it again") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{str(path)!r} holds no statistics; get the released file")
    return content


def _spread(path: Path, content: Mapping[str, Any], part: str, dims: int) -> Spread:
    fields = content.get(part)
    if not isinstance(fields, Mapping):
        raise UserError(f"{str(path)!r} lacks {part!r}; get the released file")
    found: dict[str, Array] = {}
    for name in ("mean", "std", "q01", "q99"):
        array = np.asarray(fields.get(name, []), dtype=np.float64)
        if array.ndim != 1 or len(array) < dims or not np.isfinite(array).all():
            raise UserError(
                f"{str(path)!r}: {name!r} of {part!r} must be {dims} numbers; "
                "get the file released with the checkpoint"
            )
        found[name] = array[:dims]
    kept = ~np.asarray(fields.get("mask", [True] * dims), dtype=bool)[:dims]
    q01, q99 = np.where(kept, -1.0, found["q01"]), np.where(kept, 1.0, found["q99"])
    return Spread(min=q01, max=q99, mean=found["mean"], std=found["std"], q01=q01, q99=q99)
