"""What this machine offers a model, asked without importing torch."""

from __future__ import annotations

from pathlib import Path

import psutil

NVIDIA = Path("/proc/driver/nvidia/gpus")


def has_gpu() -> bool:
    """Whether the NVIDIA driver shows a GPU."""
    return NVIDIA.is_dir() and any(NVIDIA.iterdir())


def memory_gb() -> float:
    """Memory of this machine in 10^9 bytes."""
    return psutil.virtual_memory().total / 1e9
