"""How a sweep is run."""

from __future__ import annotations

from wambench.contract import Frozen


class SweepOptions(Frozen):
    """How to run, which never changes what comes out."""

    workers: int | None = None  # None: as many as fit
    ray_address: str | None = None
    attempts: int = 3  # per cell and invocation
    stall_seconds: float = 120.0
    recycle_episodes: int = 100  # a worker process is replaced after so many
    recycle_rss_mb: int = 4000  # or when it has grown to this
    max_batch: int | None = None  # None: each policy's own
    wait_seconds: float = 600.0  # a sweep in which nothing moves for so long ends
    memory_gb: float | None = None  # None: what is free on this machine
    gpus: int | None = None  # None: what this machine has
    allow_mismatch: tuple[str, ...] = ()
