"""FastWAM-idm: first the clip is imagined, then the action is read off it (inverse dynamics)."""

from __future__ import annotations

from functools import partial

from baselines.videowam.config import Options
from baselines.videowam.modules import FastWam
from baselines.videowam.parts import Parts
from baselines.videowam.state import State
from wambench.inference import Program, Step


def program(model: FastWam, options: Options) -> Program[State]:
    """Denoise the video, read the finished clip at timestep 0, denoise the action.

    The decoding step is left out if ``options`` say so, or if the model has no VAE.
    """
    parts = Parts(model, options)
    steps = parts.first_steps(with_clip=True)
    if not options.recompute_first_frame:
        steps.append(Step("prefill", parts.prefill_first_frame))
    for index in range(parts.video_schedule.steps):
        imagine = partial(parts.imagine, index=index, schedule=parts.video_schedule, keep=False)
        steps.append(Step("imagine", imagine))
    steps.append(Step("prefill", parts.prefill_clip))
    steps += parts.action_steps()
    if options.decode_video and model.vae is not None:
        steps.append(Step("decode", parts.decode))
    return Program(steps)
