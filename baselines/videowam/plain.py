"""Plain FastWAM: the action reads the current frame; no future is imagined."""

from __future__ import annotations

from baselines.videowam.config import Options
from baselines.videowam.modules import FastWam
from baselines.videowam.parts import Parts
from baselines.videowam.state import State
from wambench.inference import Program, Step


def program(model: FastWam, options: Options) -> Program[State]:
    """Read the current frame once, then denoise the action against its keys and values."""
    parts = Parts(model, options)
    return Program(
        [
            *parts.first_steps(with_clip=False),
            Step("prefill", parts.prefill_first_frame),
            *parts.action_steps(),
        ]
    )
