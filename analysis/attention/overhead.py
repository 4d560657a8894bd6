"""What watching costs: time of an inference with the capture on over one with it off."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from analysis.attention.capture import Capture, attention_of
from analysis.attention.scenes import Moment
from analysis.attention.study import Arm
from wambench import plugins

PAIRS = 15
WARM = 3  # pairs that are not counted


@dataclass(frozen=True)
class Overhead:
    """Of one policy, on this machine with whatever else it is doing.

    Attributes:
        kept_bytes: of the capture, for one decision.
        time_ratio: median over pairs of neighbours, one watched and one not; 1 is free.
        plain_ms: median of those that are not watched.
    """

    kept_bytes: int
    time_ratio: float
    plain_ms: float


def overhead(arm: Arm, moment: Moment) -> Overhead:
    """Let a policy decide the same thing again and again, watched and not in turns."""
    import torch

    policy = plugins.make_policy(arm.name, arm.options)
    policy.load()
    inference = policy.inference("loaded")
    attention = attention_of(arm.policy, inference)
    assert inference is not None
    kept, ratios, plain = 0, [], []
    for pair in range(WARM + PAIRS):
        seconds = {}
        # Whichever comes first: a machine that slows down must not favour one of them.
        for watched in (True, False) if pair % 2 else (False, True):
            began = time.perf_counter()
            with torch.inference_mode():
                if watched:
                    with Capture(attention) as capture:
                        inference.program.run(inference.state([moment.seen]))
                    kept = capture.taken[-1].bytes_per_step
                else:
                    inference.program.run(inference.state([moment.seen]))
            seconds[watched] = time.perf_counter() - began
        if pair >= WARM:
            ratios.append(seconds[True] / seconds[False])
            plain.append(seconds[False])
    return Overhead(kept, median(ratios), 1000 * median(plain))
