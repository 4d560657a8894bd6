"""What this machine offers a model, asked without importing torch."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from wambench.sweeping.machine import total_mb

NVIDIA = Path("/proc/driver/nvidia/gpus")
CPU = Path("/proc/cpuinfo")
COMMON_KERNELS = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own
    "MKL_CBWR": "AVX2",  # MKL's reproducible mode
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}


def has_gpu() -> bool:
    """Whether the NVIDIA driver shows a GPU."""
    return NVIDIA.is_dir() and any(NVIDIA.iterdir())


def memory_gb() -> float:
    """Memory that this process may have in 10^9 bytes."""
    return total_mb() * 2**20 / 1e9


def take_common_kernels() -> None:
    """Let torch's libraries choose among the kernels that all x86 processors since 2013 have.

    Left to themselves they take the widest a processor has, and sums then round otherwise. They
    read these variables when they are loaded: call it before torch is imported, later it changes
    nothing. What the environment says already stays.
    """
    is_x86 = platform.machine() in ("x86_64", "AMD64")
    if is_x86 and CPU.exists() and "avx2" in CPU.read_text() and "torch" not in sys.modules:
        for name, value in COMMON_KERNELS.items():
            os.environ.setdefault(name, value)
