"""torch's own FLOP counter, completed where it is blind, and tested before it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from wambench.errors import UserError

# A small attention: batch, heads, queries, keys, channels. None divides another.
BATCH, HEADS, QUERIES, KEYS, CHANNELS = 2, 3, 5, 7, 16


def counted_flops(call: Callable[[], object]) -> int:
    """FLOPs of a call by torch's counter, 1 multiply-add = 2.

    torch has no formula for the attention kernel of its CPU builds and counts it as 0; it gets the
    one of its siblings.
    """
    with torch.inference_mode(), counter() as counted:
        call()
    return counted.get_total_flops()


def counter() -> FlopCounterMode:
    """Make torch's counter, which is a context manager."""
    return FlopCounterMode(display=False, custom_mapping=_CPU)


def check_counter(device: str = "meta") -> None:
    """Raise UserError if the counter misses attention, a linear layer or a convolution.

    Also turns off the fused fast path of ``nn.MultiheadAttention`` and ``nn.TransformerEncoder``,
    which hides all of their work from any counter, for the rest of the process.
    """
    torch.backends.mha.set_fastpath_enabled(False)
    for what, expected, counted in (
        ("attention", 4 * BATCH * HEADS * QUERIES * KEYS * CHANNELS, _attention(device)),
        ("a linear layer", 2 * BATCH * QUERIES * CHANNELS * KEYS, _linear(device)),
        ("a convolution", 2 * BATCH * KEYS * CHANNELS * 9 * 36, _convolution(device)),
        ("nn.MultiheadAttention", _mha_flops(), _mha(device)),
    ):
        if counted != expected:
            raise UserError(
                f"torch {torch.__version__} counts {counted} FLOPs for {what} that takes "
                f"{expected}; counts would be wrong: use torch 2.13"
            )


def _attention(device: str) -> int:
    q = torch.empty(BATCH, HEADS, QUERIES, CHANNELS, device=device)
    k = torch.empty(BATCH, HEADS, KEYS, CHANNELS, device=device)
    return counted_flops(lambda: F.scaled_dot_product_attention(q, k, k))


def _linear(device: str) -> int:
    x = torch.empty(BATCH, QUERIES, CHANNELS, device=device)
    weight = torch.empty(KEYS, CHANNELS, device=device)
    return counted_flops(lambda: F.linear(x, weight))


def _convolution(device: str) -> int:
    x = torch.empty(BATCH, KEYS, 8, 8, device=device)
    weight = torch.empty(CHANNELS, KEYS, 3, 3, device=device)
    return counted_flops(lambda: F.conv2d(x, weight))


def _mha(device: str) -> int:
    layer = torch.nn.MultiheadAttention(CHANNELS, 2, batch_first=True, device=device).eval()
    x = torch.empty(BATCH, QUERIES, CHANNELS, device=device)
    return counted_flops(lambda: layer(x, x, x, need_weights=False))


def _cpu_attention(q: Any, k: Any, v: Any, *args: Any, **kwargs: Any) -> int:
    """Of shapes [B, H, S, D], as torch's formulas take them."""
    return 2 * q[0] * q[1] * q[2] * k[2] * (q[3] + v[3])


def _cpu_attention_backward(grad: Any, q: Any, k: Any, v: Any, *args: Any, **kwargs: Any) -> int:
    """Scores again, and the gradients of weights, values, queries and keys: five products."""
    return q[0] * q[1] * q[2] * k[2] * (6 * q[3] + 4 * v[3])


_CPU: dict[Any, Any] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _cpu_attention_backward,
}


def _mha_flops() -> int:
    projections = 4 * 2 * BATCH * QUERIES * CHANNELS**2
    return projections + 4 * BATCH * QUERIES**2 * CHANNELS
