"""How a sweep is run."""

from __future__ import annotations

from pydantic import Field

from wambench.contract import Frozen


class SweepOptions(Frozen):
    """How to run, which never changes what comes out."""

    workers: int | None = Field(default=None, ge=1)  # None: as many as fit
    ray_address: str | None = None
    attempts: int = Field(default=3, ge=1)  # per cell and invocation
    stall_seconds: float = Field(default=120.0, ge=5)
    recycle_episodes: int = 100  # a worker process is replaced after so many
    recycle_rss_mb: int = 4000  # or when it has grown to this
    max_batch: int | None = Field(default=None, ge=1)  # None: each policy's own
    wait_seconds: float = Field(default=600.0, ge=5)  # a sweep in which nothing moves so long ends
    memory_gb: float | None = Field(default=None, ge=0)  # None: what is free on this machine
    gpus: int | None = Field(default=None, ge=0)  # None: what this machine has
    allow_mismatch: tuple[str, ...] = ()
