"""Named, versioned evaluation protocols as data (``wambench/protocols/*.yaml``).

The "average" of one benchmark is at least six different experiments in the literature; a protocol
pins all of what they differ in. What a protocol cannot fix (package versions, pixels, weights) is
in the passport.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from wambench import yaml12
from wambench.clock import ClockKind
from wambench.contract import Frozen, Gripper, Orientation, SuiteSpec
from wambench.errors import UserError, did_you_mean, one_line
from wambench.suite.task import Instructions

FOLDER = Path(__file__).parent / "protocols"
FIXED = {"name", "version", "about", "source", "notes"}  # of a preset: no change touches them

Size = tuple[PositiveInt, PositiveInt]


class Protocol(Frozen):
    """How an episode is run and judged. Unless said otherwise counts are control steps."""

    name: str
    version: int
    about: str
    source: str = Field(description="where the numbers were read")
    notes: tuple[str, ...] = Field(default=(), description="what could not be known or kept")

    max_steps: Mapping[str, PositiveInt] = Field(description="suite -> budget after settling")
    settle_steps: int = Field(ge=0, description="no-op steps before the policy's first look")
    replan_steps: PositiveInt | None = Field(
        description="actions executed of each chunk; null: as many as the policy means to"
    )
    trials: int = Field(gt=0, description="init states 0..trials-1 when a sweep names none")
    seeds: tuple[NonNegativeInt, ...] = Field(description="when a sweep names none")
    simulator_seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        description="seed of the simulator's reset (fixture poses)"
    )
    simulator_seeding: Literal["each_episode", "once_per_task", "plus_init_state"] = Field(
        description="once_per_task: later trials draw on; plus_init_state: seed + init state"
    )
    render_size: Size = Field(description="(height, width) drawn by the simulator")
    image_size: Size = Field(
        description="(height, width) given to the policy, by PIL's bilinear filter if it differs"
    )
    orientation: Orientation
    gripper: Gripper = Field(
        description="sign: the last action dimension becomes -1 below 0 and +1 from 0 on"
    )
    instructions: Instructions = Field(
        default="clean", description="as_released: what a suite's own harness tells the robot"
    )
    clock: ClockKind = Field(
        default="frozen", description="paying: the world goes on while the policy thinks"
    )
    rendering: str = Field(default="exact", description="one of the suite's rendering presets")

    def budget(self, suite: SuiteSpec) -> int:
        """Control steps allowed on ``suite``.

        A suite that the protocol does not name has that of the suite it is ``like``, else its own.
        """
        inherited = self.max_steps.get(suite.like or "", suite.default_max_steps)
        return self.max_steps.get(suite.name, inherited)

    def determinants(self, suite: SuiteSpec) -> dict[str, Any]:
        """What of this protocol decides the result of one cell on ``suite``.

        Whose instructions are told and what clock there is are left out: the instruction itself is
        part of a cell, and so is how a policy's decisions are paid for.
        """
        by_others = {"max_steps", "trials", "seeds", "instructions", "clock"}
        out = self.model_dump(mode="json", exclude=FIXED | by_others)
        return out | {"max_steps": self.budget(suite)}


@functools.cache
def protocols() -> Mapping[str, Protocol]:
    """All presets by name."""
    presets = (
        Protocol.model_validate(yaml12.load(file.read_text())) for file in FOLDER.glob("*.yaml")
    )
    return {preset.name: preset for preset in sorted(presets, key=lambda p: p.name)}


def protocol(name: str, changes: Mapping[str, Any] | None = None) -> Protocol:
    """Look up a preset; ``changes`` derives one that is no longer called by the preset's name.

    A change of ``max_steps`` may name some suites only; the others keep the preset's budget.
    """
    presets = protocols()
    if name not in presets:
        raise UserError(f"unknown protocol {name!r}; {did_you_mean(name, presets)}")
    preset = presets[name]
    if not changes:
        return preset
    for field in changes:
        if field not in Protocol.model_fields or field in FIXED:
            remedy = did_you_mean(str(field), set(Protocol.model_fields) - FIXED)
            raise UserError(f"protocol has no field {field!r} to change; {remedy}")
    listed = ", ".join(f"{key}={value}" for key, value in sorted(changes.items()))
    merged = preset.model_dump() | dict(changes) | {"name": f"{name}+custom"}
    merged["about"] = f"{name} changed: {listed}"
    if isinstance(merged["max_steps"], Mapping):
        merged["max_steps"] = {**preset.max_steps, **merged["max_steps"]}
    try:
        return Protocol.model_validate(merged)
    except ValidationError as error:
        raise UserError(f"protocol_changes: {one_line(error)}") from None
