"""Names that training wrappers leave in a checkpoint, taken off again."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

COMPILED = "_orig_mod"  # torch.compile's, before every name of the module that it wraps
PARALLEL = "module"  # DataParallel's and DistributedDataParallel's


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names that the modules have without their wrappers.

    ``_orig_mod`` goes wherever it stands, as no module has that name of its own; ``module`` where
    all tensors have it in front, or all of a top dictionary right behind its name. Names that
    would coincide stay as they are.
    """
    parts = {key: [p for p in key.split(".") if p != COMPILED] for key in tensors}
    for depth in (0, 1):
        for top in {tuple(names[:depth]) for names in parts.values()}:
            group = {key: names for key, names in parts.items() if tuple(names[:depth]) == top}
            while all(names[depth : depth + 1] == [PARALLEL] for names in group.values()):
                for names in group.values():
                    del names[depth]
    found = {".".join(names): tensors[key] for key, names in parts.items() if names}
    return found if len(found) == len(tensors) else dict(tensors)
