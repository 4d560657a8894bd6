"""What a GPU could do with a counted policy: a prediction, never to be taken for a measurement.

Three numbers, batch 1. *ideal*: every call at the peak of compute or of bandwidth, whichever takes
longer, weights read once per call. *graph*: every kernel by itself at the shares of the peaks that
kernels reach, no shorter than ``SHORTEST_KERNEL_S``, intermediate results through memory. *eager*:
as graph, but a kernel cannot start before the CPU has issued it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from wambench.contract import Frozen
from wambench.errors import UserError, did_you_mean
from wambench.inference import StageName
from wambench.profile.records import PolicyCount, StageCount

COMPUTE_SHARE = 0.75  # of the peak, by large matrix products
BANDWIDTH_SHARE = 0.8  # of the peak, by large copies
SHORTEST_KERNEL_S = 2e-6
ISSUE_S = 8e-6  # CPU time to issue one kernel from Python; 5e-6 on the fastest hosts

Bound = Literal["launch", "bandwidth", "compute"]


class Gpu(Frozen):
    """A GPU as two numbers: dense bf16 with fp32 accumulation, and memory bandwidth."""

    name: str
    peak_tflops: float
    bandwidth_tb_per_s: float
    source: str


_SHEET = "vendor's data sheet, without sparsity"
GPUS: Mapping[str, Gpu] = {
    gpu.name: gpu
    for gpu in (
        Gpu(name="A6000", peak_tflops=154.8, bandwidth_tb_per_s=0.768, source=_SHEET),
        Gpu(name="A100", peak_tflops=312, bandwidth_tb_per_s=2.039, source=f"{_SHEET}; SXM 80 GB"),
        Gpu(name="RTX 4090", peak_tflops=165.2, bandwidth_tb_per_s=1.008, source=_SHEET),
        Gpu(name="RTX 5090", peak_tflops=209.5, bandwidth_tb_per_s=1.792, source=_SHEET),
        Gpu(name="H100", peak_tflops=790, bandwidth_tb_per_s=3.0, source="reached by an SXM 80 GB"),
        Gpu(name="H200", peak_tflops=790, bandwidth_tb_per_s=4.3, source="reached by an SXM"),
        Gpu(name="Thor", peak_tflops=258.8, bandwidth_tb_per_s=0.273,
            source="a quarter of the vendor's dense FP4 figure for Jetson T5000"),
    )
}  # fmt: skip


class Prediction(Frozen):
    """Predicted milliseconds of one inference; ``bound`` is what limits eager execution."""

    policy: str
    gpu: str
    stages: tuple[StageName, ...]
    ideal_ms: float
    graph_ms: float
    eager_ms: float
    bound: Bound


def predict(
    count: PolicyCount,
    gpu: str,
    without: Sequence[StageName] = ("text", "decode"),
    issue_s: float = ISSUE_S,
) -> Prediction:
    """Predict one inference.

    Args:
        count: with single operations, as :func:`wambench.profile.flops.count` gives it.
        gpu: a key of :data:`GPUS`.
        without: stages to leave out.
        issue_s: CPU seconds to issue a kernel.

    Raises:
        UserError: an unknown GPU.
    """
    if gpu not in GPUS:
        raise UserError(f"unknown GPU {gpu!r}; {did_you_mean(gpu, GPUS)}")
    device = GPUS[gpu]
    stages = [stage for stage in count.stages if stage.stage not in without]
    graph = [_graph_s(stage, device) for stage in stages]
    launch = [stage.kernels * issue_s for stage in stages]
    # Within a stage the slower of CPU and GPU sets the pace; stages alternate, so both add up.
    eager = sum(max(pair) for pair in zip(graph, launch, strict=True))
    compute = sum(stage.flops for stage in stages) / (device.peak_tflops * 1e12)
    reading = sum(stage.weight_bytes for stage in stages) / (device.bandwidth_tb_per_s * 1e12)
    bound: Bound = "compute" if compute > reading else "bandwidth"
    return Prediction(
        policy=count.policy,
        gpu=gpu,
        stages=tuple(stage.stage for stage in stages),
        ideal_ms=1e3 * sum(_ideal_s(stage, device) for stage in stages),
        graph_ms=1e3 * sum(graph),
        eager_ms=1e3 * eager,
        bound="launch" if sum(launch) > sum(graph) else bound,
    )


def _ideal_s(stage: StageCount, gpu: Gpu) -> float:
    compute = stage.flops / (gpu.peak_tflops * 1e12)
    return max(compute, stage.weight_bytes / (gpu.bandwidth_tb_per_s * 1e12))


def _graph_s(stage: StageCount, gpu: Gpu) -> float:
    peak = gpu.peak_tflops * 1e12 * COMPUTE_SHARE
    bandwidth = gpu.bandwidth_tb_per_s * 1e12 * BANDWIDTH_SHARE
    return sum(
        times * max(flops / peak, moved / bandwidth, SHORTEST_KERNEL_S)
        for flops, moved, times in stage.operations
    )
