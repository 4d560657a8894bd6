"""How fast this device multiplies matrices: no policy can be much faster."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial

from wambench.profile.latency.clock import CudaClock, HostClock

CPU_SIDE, GPU_SIDE = 512, 8192  # large enough to reach the rate, small enough to take no time
RUNS = 12


def matmul_flops(dtype: str, *, has_device: bool) -> Mapping[str, float]:
    """Best of some runs in FLOP/s, by number format; empty for a policy without torch.

    A GPU's rate is taken in bfloat16, its fastest format here, whatever the policy's: single
    operations of a float32 policy may use faster formats.
    """
    if "torch" not in sys.modules:
        return {}
    import torch

    formats = {"bfloat16"} if has_device else {"float32", *({dtype} & {"bfloat16", "float16"})}
    side = GPU_SIDE if has_device else CPU_SIDE
    clock = CudaClock() if has_device else HostClock()
    found = {}
    for name in sorted(formats):
        generator = torch.Generator().manual_seed(0)
        square = torch.randn(side, side, generator=generator).to(getattr(torch, name))
        if has_device:
            square = square.cuda()
        with torch.inference_mode():
            runs = [clock.time(partial(torch.mm, square, square)) for _ in range(RUNS)]
        best = min(run.wall_ms if run.device_ms is None else run.device_ms for run in runs)
        found[name] = 2 * side**3 / (best / 1000)
    return found
