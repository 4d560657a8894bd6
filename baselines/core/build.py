"""Build models of any size without allocating them, fill them, count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

RANDOM_STD = 0.02  # of random weights, small enough for finite outputs at any depth


def on_meta(make: Callable[[], M]) -> M:
    """Build a module whose parameters and buffers have shapes but no memory; eval mode.

    Buffers that no checkpoint holds (tables of angles, running numbers) are emptied: nothing would
    ever fill them, and our forward passes compute what they need.
    """
    with torch.device("meta"):
        module = make().eval().requires_grad_(False)
    for part in module.modules():
        for name in part._non_persistent_buffers_set:
            part._buffers[name] = None
    return module


def parameter_count(module: nn.Module | None) -> int:
    """Number of parameters, shared ones once."""
    return sum(p.numel() for p in module.parameters()) if module is not None else 0


def fill(module: nn.Module, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Give a meta module its weights, all of them at once, cast to ``dtype``.

    Integer buffers keep their own dtype, and a tensor given under two names stays one. Raises
    RuntimeError if the names or shapes do not agree; the checkpoint audit comes before.
    """
    once = {
        id(tensor): tensor.to(dtype) if tensor.is_floating_point() else tensor
        for tensor in tensors.values()
    }
    cast = {name: once[id(tensor)] for name, tensor in tensors.items()}
    module.load_state_dict(cast, strict=True, assign=True)


def fill_random(module: nn.Module, seed: int, dtype: torch.dtype, device: torch.device) -> None:
    """Give a meta module small random weights: for latency, where values do not matter.

    Matrices are normal with standard deviation ``RANDOM_STD``, one-dimensional weights (norms) 1,
    biases 0, running variances 1.
    """
    generator = torch.Generator(device=device).manual_seed(seed)
    out: dict[str, Tensor] = {}
    tied: dict[int, str] = {}  # a parameter under two names is drawn once
    for name, tensor in module.state_dict(keep_vars=True).items():
        first = tied.setdefault(id(tensor), name)
        if first != name:
            out[name] = out[first]
        elif not tensor.is_floating_point():
            out[name] = torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
        elif tensor.dim() < 2:
            is_one = name.endswith(("weight", "scale", "running_var"))
            out[name] = torch.full(tensor.shape, float(is_one), dtype=dtype, device=device)
        else:
            noise = torch.empty(tensor.shape, dtype=dtype, device=device)
            out[name] = noise.normal_(std=RANDOM_STD, generator=generator)
    module.load_state_dict(out, strict=True, assign=True)
