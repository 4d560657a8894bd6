"""Dataset statistics: between the robot's units and the numbers a policy was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wambench.errors import UserError

Kind = Literal["min_max", "z_score", "quantile"]
FIELDS = ("min", "max", "mean", "std", "q01", "q99")
FLAT = 1e-4  # a dimension that moves less than this is shifted, not stretched
LIMIT = 5.0  # normalised inputs are clamped to it; outputs are not
FILE_NAME = "dataset_stats.json"
RELEASED = "put the one released with the checkpoint there"

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Spread:
    """How the values of a state or an action spread over a data set; each array [D], float64."""

    min: Array
    max: Array
    mean: Array
    std: Array
    q01: Array
    q99: Array

    @property
    def dims(self) -> int:
        """D, the number of dimensions."""
        return len(self.min)

    def normalise(self, x: np.ndarray, kind: Kind) -> np.ndarray:
        """Robot's units to the policy's, clamped to +-5.

        ``min_max`` maps [min, max] and ``quantile`` [q01, q99] to [-1, 1], ``z_score`` subtracts
        the mean and divides by the standard deviation. A dimension whose range (deviation) is
        below 1e-4 is only shifted: ``x - min``, ``x - q01``, ``x - mean``.

        Args:
            x: [..., D].
            kind: which of the three.

        Returns:
            float32 [..., D].

        Raises:
            ValueError: ``x`` has other dimensions.
        """
        origin, scale = self._map(kind)
        return np.clip((self._fitting(x) - origin) / scale, -LIMIT, LIMIT).astype(np.float32)

    def denormalise(self, x: np.ndarray, kind: Kind) -> np.ndarray:
        """The way back, without a clamp; shapes, dtype and errors as :meth:`normalise`."""
        origin, scale = self._map(kind)
        return (self._fitting(x) * scale + origin).astype(np.float32)

    def _map(self, kind: Kind) -> tuple[Array, Array]:
        """Origin and scale: normalised = (x - origin) / scale."""
        if kind == "z_score":
            return self.mean, np.where(self.std < FLAT, 1.0, self.std)
        low, high = (self.min, self.max) if kind == "min_max" else (self.q01, self.q99)
        is_flat = high - low < FLAT
        return np.where(is_flat, low, (low + high) / 2), np.where(is_flat, 1.0, (high - low) / 2)

    def _fitting(self, x: np.ndarray) -> Array:
        if x.shape[-1:] != (self.dims,):
            raise ValueError(f"the statistics have {self.dims} dimensions, the values {x.shape}")
        return x.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Spreads of the robot's state and of the actions."""

    state: Spread
    action: Spread


def statistics_path(checkpoint: Path) -> Path:
    """Where a checkpoint's statistics are: ``<its name>_dataset_stats.json`` or without the name.

    The folder of shards keeps them inside. The file need not exist.
    """
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    own = folder / f"{checkpoint.stem}_{FILE_NAME}"
    return own if own.is_file() else folder / FILE_NAME


def read_statistics(
    path: Path,
    state_dim: int | None = None,
    action_dim: int | None = None,
    embodiment: str | None = None,
) -> Statistics:
    """Read a ``dataset_stats.json``; of its fields only ``global_*`` count.

    Args:
        path: of the file.
        state_dim: dimensions that the policy expects; None: any.
        action_dim: as ``state_dim``.
        embodiment: whose statistics, where the file has several.

    Raises:
        UserError: the file is missing or unreadable, lacks a field, has NaN or other dimensions.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        need = "it is needed to turn actions into the robot's units"
        remedy = "put the one released with the checkpoint beside it"
        raise UserError(f"{str(path)!r} is missing: {need}; {remedy}") from None
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise UserError(f"{str(path)!r} cannot be read: {reason}; {RELEASED}") from None
    try:
        part = _embodiment(content, embodiment)
        return Statistics(
            state=_spread(part, "state", state_dim), action=_spread(part, "action", action_dim)
        )
    except _Unfit as error:
        raise UserError(f"{str(path)!r}: {error}") from None


class _Unfit(Exception):
    """What is wrong with the content, and the remedy."""


def _embodiment(content: Any, wanted: str | None) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise _Unfit(f"holds no statistics; {RELEASED}")
    if content.get("type") != "per_embodiment":
        return content
    every = content.get("embodiments")
    names = sorted(every) if isinstance(every, Mapping) else []
    if wanted is None and len(names) != 1:
        raise _Unfit(f"holds several embodiments; name one of {', '.join(names) or 'none'}")
    name = names[0] if wanted is None else wanted
    if not isinstance(every, Mapping) or not isinstance(every.get(name), Mapping):
        raise _Unfit(f"has no embodiment {name!r}; name one of {', '.join(names) or 'none'}")
    return every[name]


def _spread(part: Mapping[str, Any], what: str, dims: int | None) -> Spread:
    group = part.get(what)
    fields = group.get("default", group) if isinstance(group, Mapping) else None
    if not isinstance(fields, Mapping):
        raise _Unfit(f"{what!r} is missing; {RELEASED}")
    arrays = {name: _array(fields, what, f"global_{name}") for name in FIELDS}
    found = {len(array) for array in arrays.values()}
    if len(found) > 1:
        raise _Unfit(f"the fields of {what!r} differ in length; {RELEASED}")
    if dims is not None and found != {dims}:
        remedy = "use the statistics of the same release"
        raise _Unfit(f"{what!r} has {found.pop()} dimensions, the policy has {dims}; {remedy}")
    spread = Spread(**arrays)
    for low, high in (("min", "max"), ("q01", "q99")):
        if (arrays[low] > arrays[high]).any():
            raise _Unfit(f"{what!r} has a global_{low} above its global_{high}; {RELEASED}")
    if (spread.std < 0).any():
        raise _Unfit(f"{what!r} has a negative global_std; {RELEASED}")
    return spread


def _array(fields: Mapping[str, Any], what: str, name: str) -> Array:
    if name not in fields:
        raise _Unfit(f"{what!r} lacks {name!r}; {RELEASED}")
    try:
        array = np.asarray(fields[name], dtype=np.float64)
    except (ValueError, TypeError):
        raise _Unfit(f"{name!r} of {what!r} is not a list of numbers; {RELEASED}") from None
    if array.ndim != 1 or not len(array):
        raise _Unfit(f"{name!r} of {what!r} is not a list of numbers; {RELEASED}")
    if not np.isfinite(array).all():
        raise _Unfit(f"{name!r} of {what!r} has NaN or infinite values; {RELEASED}")
    array.setflags(write=False)
    return array
