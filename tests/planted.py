"""Planted world-action models whose use of a future is known by construction."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from baselines.nano.models.base import mosaic
from baselines.nano.models.fastwam import NanoFastWam
from tests.releases import observation
from wambench import plugins
from wambench.inference import Program, Step

TOLD = "move the point to where the picture says"


class Alone(NanoFastWam):
    """Imagines the true future, and moves where that shows the point: nothing else is read.

    The future is a picture as bright as the scene's upper left corner.
    """

    def program(self) -> Program[Any]:
        """As idm, with a true dream and an action that is the brightness of its last frame."""
        steps = [step for step in super().program().steps if step.stage != "act"]
        last = max(index for index, step in enumerate(steps) if step.stage == "imagine")
        steps.insert(last + 1, Step("imagine", self._dream))
        return Program([*steps, Step("act", self._read_off)])

    def _dream(self, state: Any) -> None:
        goal = state.image[:, :, :8, :8].mean(dim=(1, 2, 3))
        frames = goal[:, None, None, None, None, None].expand(-1, 2, 2, 3, 64, 64)
        later = self.codec.encode(mosaic(frames)).transpose(1, 2)
        state.video = torch.cat([state.video[:, :, :1], later], dim=2)

    def _read_off(self, state: Any) -> None:
        shown = self.codec.decode(state.video[:, :, -1]).mean(dim=(1, 2, 3))
        state.action = torch.zeros_like(state.noise_action)
        state.action[:, :, 0] = shown[:, None]


def alone(**options: Any) -> Any:
    """A loaded nano-fastwam-idm policy that is :class:`Alone`."""
    policy = plugins.make_policy("nano-fastwam-idm", options)
    policy.load()
    ready: Any = policy._loaded()  # type: ignore[attr-defined]
    ready.model.__class__ = Alone
    program = ready.giver.program() if ready.giver else ready.model.program()
    policy._ready = dataclasses.replace(ready, program=program)  # type: ignore[attr-defined]
    return policy


def ignoring(**options: Any) -> Any:
    """A loaded nano-fastwam-idm policy whose action cannot read any frame, nor itself."""
    policy = plugins.make_policy("nano-fastwam-idm", options)
    policy.load()
    model: Any = policy._loaded().model  # type: ignore[attr-defined]
    for block in model.wam.action.blocks:
        block.attn1.to_out[0].weight.data.zero_()
    return policy


def play(policy: Any, episode: str, goal: float) -> float:
    """Where a point on a line ends, that is pushed half way to where an action says, 8 times."""
    place = 0.0
    for look in range(8):
        seen = observation(look, TOLD, 64)
        images = {camera: image.copy() for camera, image in seen.images.items()}
        images["agentview"][:8, :8] = round((goal + 1) * 127.5)
        seen = dataclasses.replace(seen, episode=episode, step=8 * look, images=images)
        place = 0.5 * place + 0.5 * _wanted(policy, policy.act([seen])[0])
    return place


def _wanted(policy: Any, chunk: NDArray[np.float64]) -> float:
    """The first number of a chunk as the model gave it."""
    statistics = policy._loaded().prepare.statistics
    return float(statistics.action.normalise(chunk, "min_max")[0, 0])
