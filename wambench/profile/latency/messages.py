"""What the process that computes tells the one that keeps the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wambench.inference import StageName
from wambench.profile.latency.protocol import Scope
from wambench.profile.latency.records import Inputs, Memory, Outputs, Work


@dataclass(frozen=True)
class Prepared:
    """Known before timing begins; fields as in :class:`LatencyRecord`."""

    has_device: bool
    first_call_ms: float
    compile_ms: float | None
    work: Work
    inputs: Inputs
    scopes: tuple[Scope, ...]  # that can be timed
    dtype: str
    control_hz: float | None
    software: Mapping[str, str]
    matmul_flops: Mapping[str, float]
    compiled_graphs: int | None
    refused: Mapping[StageName, str]


@dataclass(frozen=True)
class Told:
    """Known when all is timed."""

    memory: Memory
    outputs: Outputs
