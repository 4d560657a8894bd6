"""One pass over a step that counts FLOPs, kernels and bytes; works without memory (meta).

Counted as FLOPs: matrix products, convolutions, attention; 1 multiply-add = 2, masked positions of
an attention included, since a boolean mask does not spare them. The rest (norms, sums, rotations)
shows up as kernels and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from wambench.profile.counter import counter

# Operations that only look at data in another way, or make room for it.
VIEWS = frozenset((
    "view", "_unsafe_view", "reshape", "transpose", "t", "permute", "expand", "slice", "select",
    "split", "split_with_sizes", "unsqueeze", "squeeze", "detach", "alias", "unbind", "chunk",
    "as_strided", "lift_fresh", "empty", "empty_strided", "empty_like", "new_empty", "narrow",
    "diagonal", "_reshape_alias", "real", "view_as_real", "view_as_complex", "movedim", "unflatten",
    "sym_size", "sym_numel", "is_same_size",
))  # fmt: skip
LOOKUPS = frozenset(("embedding", "index", "index_select", "gather"))  # read what they give


@dataclass
class Traced:
    """What one call did; bytes as if every operation read its inputs and wrote its outputs.

    Attributes:
        operations: (FLOPs, moved bytes) of every kernel in order.
        weight_bytes: of the distinct parameters that were read.
        counted_flops: by torch's own counter.
    """

    operations: list[tuple[int, int]] = field(default_factory=list)
    weight_bytes: int = 0
    counted_flops: int = 0
    is_paused: bool = False

    @property
    def flops(self) -> int:
        """Of all operations."""
        return sum(flops for flops, _ in self.operations)

    @property
    def kernels(self) -> int:
        """How many operations."""
        return len(self.operations)

    @property
    def moved_bytes(self) -> int:
        """By all operations."""
        return sum(moved for _, moved in self.operations)


def trace(call: Callable[[], object], weights: Mapping[int, int]) -> Traced:
    """Run ``call`` and look at every operation.

    Args:
        call: what to run, on tensors of any device.
        weights: ``id`` of a parameter -> its bytes.
    """
    traced = Traced()
    read: set[int] = set()
    operations = _Operations(traced, weights, read)
    # torch's counter sees an operation first, takes composite ones apart, and hands it on.
    with torch.inference_mode(), _Attention(traced), operations, counter() as counted:
        call()
    traced.weight_bytes = sum(weights[key] for key in read)
    traced.counted_flops = counted.get_total_flops()
    return traced


def weights_of(components: Mapping[str, Any]) -> Mapping[int, int]:
    """``id`` of every parameter and buffer of some modules -> its bytes."""
    tensors = [
        tensor
        for module in components.values()
        for tensor in (*module.parameters(), *module.buffers())
    ]
    return {id(tensor): _bytes([tensor]) for tensor in tensors}


class _Operations(TorchDispatchMode):
    """Sees what torch executes, below autograd and composite functions."""

    def __init__(self, traced: Traced, weights: Mapping[int, int], read: set[int]) -> None:
        super().__init__()
        self._traced, self._weights, self._read = traced, weights, read

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        self._read.update(id(leaf) for leaf in inputs if id(leaf) in self._weights)
        name = func._schema.name.split("::")[1]
        if name in VIEWS or self._traced.is_paused:
            return out
        packet = func._overloadpacket
        formula = flop_registry.get(packet)
        flops = formula(*args, **kwargs, out_val=out) if formula else 0
        outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        moved = 2 * _bytes(outputs) if name in LOOKUPS else _bytes(inputs) + _bytes(outputs)
        self._traced.operations.append((int(flops), moved))
        return out


class _Attention(TorchFunctionMode):
    """Takes an attention as the one kernel it is on a GPU; on meta it would fall to pieces."""

    def __init__(self, traced: Traced) -> None:
        super().__init__()
        self._traced = traced

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        self._traced.is_paused = True
        out = func(*args, **(kwargs or {}))
        self._traced.is_paused = False
        given = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False))
        given |= kwargs or {}
        q, k, v = given["query"], given["key"], given["value"]
        flops = 2 * q.shape[:-2].numel() * q.shape[-2] * k.shape[-2] * (q.shape[-1] + v.shape[-1])
        read = [t for t in (q, k, v, given.get("attn_mask")) if isinstance(t, Tensor)]
        self._traced.operations.append((flops, _bytes([*read, out])))
        return out


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
