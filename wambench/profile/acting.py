"""A policy that shows nothing of its inside: all it does is one step, its ``act``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wambench.contract import ActionSpec, EpisodeStart, Observation, PolicySpec
from wambench.errors import UserError, one_line
from wambench.inference import Inference, Program, Step
from wambench.policy import Policy

# What a policy is told that adapts to any action: that of a Panda arm in most suites.
ANY_ACTION = ActionSpec(
    dim=7,
    frame="world",
    mode="delta",
    translation_unit_m=0.05,
    rotation="axis_angle",
    rotation_unit_rad=0.5,
    gripper="negative_opens",
    low=-1.0,
    high=1.0,
)


def start_of(spec: PolicySpec, seen: Observation, place: str) -> EpisodeStart:
    """The start of a made-up episode that an observation is of; ``place``: its suite and task."""
    return EpisodeStart(
        episode=seen.episode, suite=place, task=place, instruction=seen.instruction, init_state=0,
        action=spec.action or ANY_ACTION, noise_seed=seen.noise_seed,
    )  # fmt: skip


@dataclass
class _State:
    observations: Sequence[Observation]
    chunks: list[Any] = field(default_factory=list)


def acting(name: str, policy: Policy) -> Inference:
    """Load a policy and see one call of ``act`` as one step of stage ``act``.

    Its components are the torch modules that it keeps as attributes. UserError if it cannot be
    loaded.
    """
    import torch

    try:
        policy.load()
    except UserError:
        raise
    except Exception as error:  # a stranger's code
        raise UserError(f"policy {name!r} cannot be loaded: {one_line(error)}") from error

    def state(observations: Sequence[Observation]) -> _State:
        for seen in observations:
            policy.reset(start_of(policy.spec, seen, "profile"))
        return _State(observations)

    def run(state: _State) -> None:
        state.chunks = list(policy.act(state.observations))

    return Inference(
        program=Program([Step("act", run)]),
        state=state,
        components={
            attribute: value
            for attribute, value in vars(policy).items()
            if isinstance(value, torch.nn.Module)
        },
        action=lambda state: torch.as_tensor(state.chunks[0])[None],
    )
