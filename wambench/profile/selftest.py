"""Is this torch able to count? Refuse one that is not, before it puts a wrong number in a table."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from wambench.errors import UserError

# A small attention: batch, heads, queries, keys, channels. None divides another.
BATCH, HEADS, QUERIES, KEYS, CHANNELS = 2, 3, 5, 7, 16


def check_counter(device: str = "meta") -> None:
    """Raise UserError if torch's counter misses attention, a linear layer or a convolution.

    Some builds count scaled_dot_product_attention as 0 on a CPU (2.7.1 does). Also turns off the
    fused fast path of ``nn.MultiheadAttention`` and ``nn.TransformerEncoder``, which hides all of
    their work from any counter, for the rest of the process.
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
    with FlopCounterMode(display=False) as counter:
        F.scaled_dot_product_attention(q, k, k)
    return counter.get_total_flops()


def _linear(device: str) -> int:
    x = torch.empty(BATCH, QUERIES, CHANNELS, device=device)
    weight = torch.empty(KEYS, CHANNELS, device=device)
    with FlopCounterMode(display=False) as counter:
        F.linear(x, weight)
    return counter.get_total_flops()


def _convolution(device: str) -> int:
    x = torch.empty(BATCH, KEYS, 8, 8, device=device)
    weight = torch.empty(CHANNELS, KEYS, 3, 3, device=device)
    with FlopCounterMode(display=False) as counter:
        F.conv2d(x, weight)
    return counter.get_total_flops()


def _mha(device: str) -> int:
    layer = torch.nn.MultiheadAttention(CHANNELS, 2, batch_first=True, device=device).eval()
    x = torch.empty(BATCH, QUERIES, CHANNELS, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(x, x, x, need_weights=False)
    return counter.get_total_flops()


def _mha_flops() -> int:
    projections = 4 * 2 * BATCH * QUERIES * CHANNELS**2
    return projections + 4 * BATCH * QUERIES**2 * CHANNELS
