"""What a user may choose of a nano policy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from baselines.nano.interventions import Interventions


class NanoOptions(Interventions):
    """What a user may choose of a nano policy."""

    version: Literal[1, 2] | None = Field(
        default=None,
        description="of the preset: 1 sees 4 x 4 squares a camera, 2 sees 8 x 8 and looks twice as "
        "often; by default that of weights, and else 1",
    )
    weights: Path | None = Field(
        default=None, description="a file of 'wambench train'; by default the one that ships"
    )
    noise_seed: int | None = Field(
        default=None, description="fixed noise at every replan; null: the cell's own"
    )
    swap_instruction: int = Field(
        default=0,
        ge=0,
        description="a control: hear the instruction so many places further in the sorted list of "
        "those it was trained on; whoever reads language must then fail",
    )
    untrained: int | None = Field(
        default=None,
        ge=0,
        description="a control: random weights of this seed; statistics and words are those of the "
        "weights file, if there is one",
    )
