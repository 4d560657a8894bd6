"""Describe a checkpoint: what it is, what it holds, whether it fits a model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Size

from baselines.core.checkpoints.audit import audit
from baselines.core.checkpoints.findings import Audit
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.reading import CheckpointFile, read_checkpoint
from baselines.core.checkpoints.statistics import read_statistics, statistics_path
from wambench.errors import UserError

COLUMNS = ("item", "value")
PREFIX_PARTS = 3  # "mot.mixtures.video"


@dataclass(frozen=True)
class Component:
    """Tensors whose keys begin alike; parameters are those of the file, aliases not counted."""

    prefix: str
    found: int
    expected: int
    parameters: int


@dataclass(frozen=True)
class Inspection:
    """What ``wambench checkpoint inspect`` prints."""

    file: CheckpointFile
    audit: Audit
    components: tuple[Component, ...]

    def rows(self) -> list[dict[str, str]]:
        """Items and values, for ``print_table(rows, COLUMNS)``."""
        tensors = self.file.tensors
        size = sum(path.stat().st_size for path in self.file.files)
        dtypes = Counter(str(t.dtype).removeprefix("torch.") for t in tensors.values())
        pairs = {
            "file": str(self.file.path),
            "bytes on disk": f"{size:,}",
            "bytes checked by": self.file.verified or "nothing (the file has no checksums)",
            "tensors": str(len(tensors)),
            "bytes of tensors": f"{_tensor_bytes(self.file):,}",
            "dtypes": ", ".join(f"{name} ({count})" for name, count in sorted(dtypes.items())),
            "declared dtype": str(self.file.facts.get("torch_dtype", "none")),
            "step": str(self.file.facts.get("step", "unknown")),
            "parameters": f"{sum(part.parameters for part in self.components):,}",
        }
        for part in self.components:
            coverage = f"{part.found} of {part.expected} tensors"
            pairs[part.prefix] = f"{coverage}, {part.parameters:,} parameters"
        pairs["statistics"] = _statistics(self.file.path)
        rows = [{"item": item, "value": value} for item, value in pairs.items()]
        rows += [{"item": r["check"], "value": r["result"]} for r in self.audit.rows()[1:]]
        return [*rows, {"item": "verdict", "value": self.audit.problem() or "fits the model"}]


def inspect_checkpoint(
    path: Path, layout: Layout, shapes: Mapping[str, Size], integers: Collection[str] = ()
) -> Inspection:
    """Open a checkpoint and audit it; what does not fit is reported, not raised.

    Raises UserError if the file cannot be opened at all.
    """
    return inspect_file(read_checkpoint(path), layout, shapes, integers)


def inspect_file(
    file: CheckpointFile,
    layout: Layout,
    shapes: Mapping[str, Size],
    integers: Collection[str] = (),
) -> Inspection:
    """Audit an open checkpoint; ``shapes`` and ``integers`` as :func:`audit` takes them."""
    aliases = {entry.file for entry in layout if entry.alias_of is not None}
    expected = Counter(_prefix(entry.file) for entry in layout)
    found = Counter(_prefix(key) for key in file.tensors)
    parameters: Counter[str] = Counter()
    for key, shape in file.shapes.items():
        parameters[_prefix(key)] += 0 if key in aliases else math.prod(shape)
    components = tuple(
        Component(prefix, found[prefix], expected[prefix], parameters[prefix])
        for prefix in sorted(expected | found)
    )
    return Inspection(file, audit(file, layout, shapes, integers), components)


def _prefix(key: str) -> str:
    """The leading names of a key, up to three and to the first number."""
    parts = key.split(".")[:-1]
    number = next((i for i, part in enumerate(parts) if part.isdecimal()), len(parts))
    return ".".join(parts[: min(number, PREFIX_PARTS)]) or key


def _tensor_bytes(file: CheckpointFile) -> int:
    """Bytes of all tensors, memory that two of them share once."""
    sizes = {t.data_ptr(): t.numel() * t.element_size() for t in file.tensors.values()}
    return sum(sizes.values())


def _statistics(checkpoint: Path) -> str:
    path = statistics_path(checkpoint)
    if not path.is_file():
        return f"{path.name} is missing beside it"
    try:
        found = read_statistics(path)
    except UserError as error:
        return str(error)
    return f"{path.name}: state {found.state.dims}, action {found.action.dims} dimensions"
