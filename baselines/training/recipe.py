"""How a model is trained, as data; the same for every paradigm."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wambench.contract import Frozen


class Recipe(Frozen):
    """Optimiser, schedule, augmentation; the defaults are version 2's, from random weights."""

    preset: str
    start: str = Field(default="", description="hash of the weights it begins with; none: random")
    steps: int = Field(default=9_000, gt=0, description="optimiser steps")
    batch_size: int = Field(default=16, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps, linear")
    decay: float = Field(default=0.3, gt=0, le=1, description="share of them, half a cosine")
    final_rate: float = Field(default=0.01, ge=0, description="of the cosine, relative")
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema: float = Field(default=0.999, ge=0, lt=1, description="of the weights that are kept")
    optimiser: Literal["adamw", "muon"] = "muon"
    action_draws: int = Field(
        default=4, gt=0, description="noisy actions of every sample that a flow learns from"
    )
    shift_pixels: int = Field(default=4, ge=0, description="images move by up to so many")
    seed: int = Field(default=0, ge=0)
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(default=1, gt=0, description="of torch on a CPU; part of the result")
    save_every: int = Field(default=500, gt=0, description="steps between resumable states")
    validate_every: int = Field(default=1_000, gt=0)

    def command(self, data: str = "DATA", out: str = "OUT") -> str:
        """What a person types to train so again; where things lie is no part of it."""
        start = f"--init {self.start} " if self.start else ""
        return (
            f"wambench train {self.preset} --data {data} --out {out} {start}--steps {self.steps} "
            f"--batch-size {self.batch_size} --learning-rate {self.learning_rate:g} "
            f"--seed {self.seed} --device {self.device} --dtype {self.dtype}"
        )
