"""Account for every tensor of a checkpoint: each used exactly once, each of the model's filled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import torch
from torch import Size, Tensor

from baselines.core.checkpoints.findings import Audit, Trouble
from baselines.core.checkpoints.layout import Layout
from baselines.core.checkpoints.mapping import squeezed
from baselines.core.checkpoints.reading import CheckpointFile
from wambench.errors import UserError

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
INTEGERS = frozenset({torch.int32, torch.int64})


def audit(
    file: CheckpointFile,
    layout: Layout,
    shapes: Mapping[str, Size],
    integers: Collection[str] = (),
) -> Audit:
    """Compare a checkpoint with its layout and the model's shapes; every value is looked at.

    Args:
        file: an open checkpoint.
        layout: where each of its tensors goes.
        shapes: of the model's whole ``state_dict()``.
        integers: names of model tensors that hold integers (counters of batch norms).

    Raises:
        UserError: the file declares a dtype that is none.
        ValueError: layout and model do not fit, whatever the file holds.
    """
    unread = {entry.file for entry in layout if entry.unread}
    layout = tuple(entry for entry in layout if not entry.unread)
    shapes_in_file = file_shapes(layout, shapes)
    declared = declared_dtype(file)
    counters = {entry.file for entry in layout if set(entry.model) & set(integers)}
    found: dict[str, list[Trouble]] = {
        "missing": [Trouble(entry.file) for entry in layout if entry.file not in file.tensors],
        "unexpected": [
            Trouble(key) for key in file.tensors if key not in shapes_in_file.keys() | unread
        ],
        "misshaped": [], "wrong_dtype": [], "non_finite": [], "unequal_aliases": [],
    }  # fmt: skip
    aliases = 0
    for entry in layout:
        key = entry.file
        if key not in file.tensors:
            continue
        tensor = file.tensors[key]
        twin = file.tensors.get(entry.alias_of) if entry.alias_of is not None else None
        shape = (*squeezed(tensor.shape), 1, 1) if entry.squeeze else tensor.shape
        if shape != shapes_in_file[key]:
            what = f"is {list(tensor.shape)}, not {list(shapes_in_file[key])}"
            found["misshaped"].append(Trouble(key, what))
        counts = (entry.alias_of or key) in counters
        if wanted := _other_dtype(tensor.dtype, declared, counts):
            found["wrong_dtype"].append(Trouble(key, f"is {_plain(tensor.dtype)}, not {wanted}"))
        if twin is not None and _equal(tensor, twin):
            aliases += 1
        elif bad := _non_finite(tensor):
            found["non_finite"].append(Trouble(key, f"({bad} of {tensor.numel()} values)"))
        elif twin is not None:
            found["unequal_aliases"].append(Trouble(key, f"and {entry.alias_of!r}"))
    return Audit(
        path=file.path,
        expected=len(layout),
        found=len(file.tensors),
        matched=len(layout) - len(found["missing"]),
        aliases=aliases,
        **{kind: tuple(troubles) for kind, troubles in found.items()},
    )


def file_shapes(layout: Layout, shapes: Mapping[str, Size]) -> dict[str, Size]:
    """Shape of every key of the layout, from the shapes of the model's tensors.

    Raises ValueError unless the layout fills each of the model's tensors exactly once, from keys
    that appear once.
    """
    named = [name for entry in layout for name in entry.model]
    keys = [entry.file for entry in layout]
    if odd := sorted(set(named) ^ shapes.keys()) or _twice(named) or _twice(keys):
        raise ValueError(f"the layout does not fill the model exactly once: {odd[0]!r}")
    out: dict[str, Size] = {}
    for entry in layout:
        if entry.model:
            first, *rest = [shapes[name] for name in entry.model]
            if any(shape != first for shape in rest):
                raise ValueError(f"{entry.file!r} cannot be split evenly: {entry.model}")
            out[entry.file] = Size([first[0] * len(entry.model), *first[1:]]) if rest else first
            if entry.squeeze:
                out[entry.file] = Size([*out[entry.file], 1, 1])
            if entry.swap_halves and out[entry.file][0] % 2:
                raise ValueError(f"{entry.file!r} has no halves: {list(out[entry.file])}")
    for entry in layout:
        if entry.alias_of is not None:
            out[entry.file] = out[entry.alias_of]
    return out


def declared_dtype(file: CheckpointFile) -> torch.dtype | None:
    """The dtype that a file says its tensors have, or None.

    Raises UserError if it is no floating dtype of torch.
    """
    said = file.facts.get("torch_dtype")
    if said is None:
        return None
    dtype = {_plain(dtype): dtype for dtype in FLOATS}.get(str(said).removeprefix("torch."))
    if dtype is None:
        known = ", ".join(sorted(str(dtype) for dtype in FLOATS))
        what = f"declares the dtype {str(said)!r}, not one of {known}"
        raise UserError(f"{str(file.path)!r} {what}; save it again in one of them")
    return dtype


def _other_dtype(dtype: torch.dtype, declared: torch.dtype | None, counts: bool) -> str | None:
    """The dtype that a tensor should have, if it has another one."""
    if counts:
        return None if dtype in INTEGERS else "an integer"
    if declared is not None:
        return None if dtype == declared else _plain(declared)
    return None if dtype in FLOATS else "floating"


def _equal(one: Tensor, other: Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    same_memory = one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
    return same_memory or torch.equal(one, other)


def _non_finite(tensor: Tensor) -> int:
    """How many values are NaN or infinite; the extremes tell first, without a copy."""
    if tensor.dtype not in FLOATS or not tensor.numel():
        return 0
    if torch.stack(torch.aminmax(tensor)).isfinite().all():
        return 0
    return int(tensor.isfinite().logical_not().sum())


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _twice(names: list[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
