"""What must be equal for a comparison to mean anything, per preset; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.nano.config import SIDE, NanoConfig, architecture_of
from baselines.nano.cost import flops
from baselines.nano.vocabulary import words_of
from wambench.profile.observations import INSTRUCTION


def conditions(config: NanoConfig) -> Mapping[str, Any]:
    """Parameters, tokens, and FLOPs of one decision, all for the reference instruction.

    ``tokens`` are those that an action is computed from: words, squares of both cameras,
    proprioception, squares of imagined frames, and the action's own.
    """
    sizes = architecture_of(config)
    squares = 2 * (SIDE // config.patch) ** 2  # of both cameras
    later = sizes.video_frames - 1 if config.mode in ("joint", "idm") else 0
    later += config.reads is not None  # a goal image
    return {
        "parameters": sum(config.parameters.values()),
        "tokens": {
            "words": len(words_of(INSTRUCTION)),
            "image": squares,
            "proprioception": 1,
            "imagined": later * squares,
            "action": sizes.action_tokens if config.kind == "oft" else sizes.horizon,
        },
        "flops": sum(flops(config, INSTRUCTION)),
    }
