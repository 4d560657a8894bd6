"""How latency is measured, as data: a record names the rules it was made by."""

from __future__ import annotations

from typing import Literal

from wambench.contract import Frozen

Scope = Literal["kernels", "policy", "served", "wire"]
"""What a time spans, each inside the next.

``kernels``: the program on a state that is ready. ``policy``: ``act``, from an observation in
memory to actions in memory. ``served``: a request to the policy's server until its answer is here.
``wire`` stands alone: of a policy that lives elsewhere, from an observation in memory over a real
socket to actions in memory.
"""

Text = Literal["cold", "warm"]
"""``cold``: another instruction in every call, so that nothing kept of it helps; ``warm``: one."""

Mode = Literal["eager", "compiled", "graph"]
"""``compiled``: every step by torch.compile; ``graph``: the steps as CUDA graphs."""

SCOPES: tuple[Scope, ...] = ("kernels", "policy", "served", "wire")
TEXTS: tuple[Text, ...] = ("warm", "cold")


class LatencyProtocol(Frozen):
    """The rules of one measurement, which holds for each policy, scope and text.

    Attributes:
        warm_up_calls: fewest calls before anything counts.
        window: calls whose median must have come to rest.
        settled: largest relative change of that median, from one window to the next.
        warm_up_most_calls, warm_up_most_seconds: after which warming up ends, settled or not.
        calls, seconds: measuring ends when either is reached …
        least_calls: … but not before so many calls.
        block_calls: calls of one policy before it is the next one's turn.
        reference_blocks: of the first policy, measured again at the end.
        resamples: of the bootstrap over blocks.
        distinct_observations: that are shown in turn.
        observation_seed: of them.
        largest_move: of the reference's median, first to last, for a stable measurement.
        slow: a call of so many medians is listed as slow; none is left out.
        stage_calls: of the separate run that times single stages.
        stage_tolerance: largest relative gap between the stages' sum and the whole.
        busy_share: of the machine's cores that other programs may use.
    """

    name: Literal["latency-1"] = "latency-1"
    variant: Literal["full", "quick"] = "full"
    warm_up_calls: int = 10
    window: int = 20
    settled: float = 0.01
    warm_up_most_calls: int = 200
    warm_up_most_seconds: float = 20
    calls: int = 100
    seconds: float = 30
    least_calls: int = 25
    block_calls: int = 5
    reference_blocks: int = 2
    resamples: int = 1000
    distinct_observations: int = 32
    observation_seed: int = 0
    largest_move: float = 0.03
    slow: float = 1.5
    stage_calls: int = 20
    stage_tolerance: float = 0.03
    busy_share: float = 0.25


FULL = LatencyProtocol()
QUICK = LatencyProtocol(
    variant="quick",
    window=5,
    settled=0.03,
    warm_up_most_calls=40,
    warm_up_most_seconds=3,
    calls=40,
    seconds=5,
    resamples=500,
    stage_calls=10,
)
"""For a first look and for tests: the same steps with fewer calls. Its records say so."""
