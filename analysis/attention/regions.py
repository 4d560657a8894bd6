"""What maps are held against: parts of the picture that the simulator knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.attention.scenes import Moment

Mask = NDArray[np.bool_]

REGIONS: Mapping[str, str] = {
    "change": "what differs visibly between now and one chunk of actions later",
    "object": "what the task wants moved",
    "goal": "where it is to go",
    "task": "object and goal",
    "gripper": "hand and fingers",
    "distractor": "other objects and furniture",
}


def region(moment: Moment, name: str, camera: str) -> Mask:
    """A mask [S, S], upright; empty where the camera does not show it."""
    if name == "change":
        return moment.change[camera]
    roles: Mapping[Any, Mask] = moment.regions.get(camera, {})  # a simulator need not tell
    nothing = np.zeros_like(moment.change[camera])
    if name == "task":
        return roles.get("object", nothing) | roles.get("goal", nothing)
    return roles.get(name, nothing)
