"""What this machine offers a model, asked without importing torch."""

from __future__ import annotations

from pathlib import Path

from wambench.sweep.machine import total_mb

NVIDIA = Path("/proc/driver/nvidia/gpus")


def has_gpu() -> bool:
    """Whether the NVIDIA driver shows a GPU."""
    return NVIDIA.is_dir() and any(NVIDIA.iterdir())


def memory_gb() -> float:
    """Memory that this process may have in 10^9 bytes."""
    return total_mb() * 2**20 / 1e9
