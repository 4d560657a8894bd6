"""FastWAM-joint: clip and action are denoised together; the action reads the clip in progress."""

from __future__ import annotations

from functools import partial

from baselines.videowam.config import Options
from baselines.videowam.modules import FastWam
from baselines.videowam.parts import Parts
from baselines.videowam.state import State
from wambench.inference import Program, Step


def program(model: FastWam, options: Options) -> Program[State]:
    """Alternate one flow step of the video and one of the action.

    The released code runs both in one pass with a mask that hides the action from the video. Here
    the video runs first and the action reads its keys and values, which is the same computation
    without the masked corner (0.1 % of the published model's).
    """
    parts = Parts(model, options)
    steps = parts.first_steps(with_clip=True)
    if not options.recompute_first_frame:
        steps.append(Step("prefill", parts.prefill_first_frame))
    for index in range(parts.action_schedule.steps):
        imagine = partial(parts.imagine, index=index, schedule=parts.action_schedule, keep=True)
        steps.append(Step("imagine", imagine))
        steps.append(parts.act_step(index))
    return Program(steps)
