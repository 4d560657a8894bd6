"""Build models of any size without allocating them, fill them, count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)

RANDOM_STD = 0.02  # of random weights, small enough for finite outputs at any depth


def on_meta(make: Callable[[], M]) -> M:
    """Build a module whose parameters and buffers have shapes but no memory; eval mode."""
    with torch.device("meta"):
        return make().eval().requires_grad_(False)


def parameter_count(module: nn.Module | None) -> int:
    """Number of parameters, shared ones once."""
    return sum(p.numel() for p in module.parameters()) if module is not None else 0


def fill(module: nn.Module, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Give a meta module its weights, all of them at once, cast to ``dtype``.

    Integer buffers keep their own dtype. Raises KeyError or RuntimeError of ``load_state_dict``
    if the names or shapes do not agree; the checkpoint audit comes before.
    """
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()}
    module.load_state_dict(cast, strict=True, assign=True)


def fill_random(module: nn.Module, seed: int, dtype: torch.dtype, device: str = "cpu") -> None:
    """Give a meta module small random weights: for latency, where values do not matter.

    Matrices are normal with standard deviation ``RANDOM_STD``, one-dimensional weights (norms) 1,
    biases 0, running variances 1.
    """
    generator = torch.Generator(device=device).manual_seed(seed)
    out: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            out[name] = torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
        elif tensor.dim() < 2:
            is_one = name.endswith(("weight", "scale", "running_var"))
            out[name] = torch.full(tensor.shape, float(is_one), dtype=dtype, device=device)
        else:
            noise = torch.empty(tensor.shape, dtype=dtype, device=device)
            out[name] = noise.normal_(std=RANDOM_STD, generator=generator)
    module.load_state_dict(out, strict=True, assign=True)


def restore_buffers(module: nn.Module) -> None:
    """Recompute the buffers that no checkpoint holds and that were built on meta.

    Known kinds: the inverse frequencies of transformers' rotary embeddings and running numbers
    (``position_ids``). Raises RuntimeError for any other.
    """
    for name, part in module.named_modules():
        for key, buffer in list(part.named_buffers(recurse=False)):
            if not buffer.is_meta:
                continue
            if key == "position_ids":
                ids = torch.arange(buffer.shape[-1]).expand(buffer.shape)
                part.register_buffer(key, ids, persistent=False)
            elif key.endswith("inv_freq"):
                fresh = type(part)(config=part.config)
                part.register_buffer(key, getattr(fresh, key), persistent=False)
            else:
                raise RuntimeError(f"{name}.{key} was built on meta and nothing restores it")
