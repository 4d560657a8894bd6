"""ImageWAM's stages on OmniGen2: cache_idm edits half a step before its prefill."""

from __future__ import annotations

from baselines.imagewam.config import Options
from baselines.imagewam.inference import program as common
from baselines.imagewam.model import State
from baselines.imagewam.omnigen2.model import OmniGen2WAM
from wambench.inference import Program, Step


def program(model: OmniGen2WAM, options: Options, imagine_steps: int = 0) -> Program[State]:
    """The steps of one inference, see :func:`baselines.imagewam.inference.program`."""
    steps = list(common(model, options, imagine_steps).steps)
    if model.config.reads == "half_denoised":
        prefill = [step.stage for step in steps].index("prefill")
        steps.insert(prefill, Step("imagine", model.halve))
    return Program(steps)
