"""What a user may choose of any learned policy; validated before a weight is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, PositiveInt, ValidationError

from wambench import UserError
from wambench.contract import Frozen
from wambench.errors import did_you_mean, one_line

Chosen = TypeVar("Chosen", bound=Frozen)


class RunOptions(Frozen):
    """Options of every learned policy (a family may add its own).

    Attributes:
        SIZES: options that change the architecture -> its field.
    """

    SIZES: ClassVar[Mapping[str, str]] = {}

    preset: Literal["released", "best-exact"] = Field(
        default="released",
        description="released: compute what the authors' code does; best-exact: leave out all "
        "that does not change the action",
    )
    weights: Literal["files", "random"] = Field(
        default="files", description="random: small random numbers, for timing alone"
    )
    weights_seed: int = Field(default=0, description="of random weights")
    checkpoint: Path | None = Field(default=None, description="the trained weights")
    statistics: Path | None = Field(
        default=None, description="dataset_stats.json; by default the one beside the checkpoint"
    )
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    mode: Literal["eager", "graph"] = Field(
        default="eager",
        description="graph: the stages are captured as CUDA graphs, once for each shape, and "
        "replayed; needs a GPU",
    )
    threads: PositiveInt = Field(
        default=1,
        description="of torch on a CPU. Sums over more threads have another order, so a policy "
        "with two is another one, as with any option",
    )
    noise_seed: int | None = Field(
        default=42,
        description="what the action starts from: a fixed seed at every replan, as the released "
        "evaluations do; null: the cell's own noise",
    )
    batch_size: int = Field(
        default=1,
        gt=0,
        description="observations computed together. 1: a cell's actions never depend on what "
        "else runs; more: faster on a GPU, and equal only up to rounding",
    )


class FlowOptions(RunOptions):
    """Options of a policy whose action is a flow."""

    SIZES: ClassVar[Mapping[str, str]] = {"steps": "steps"}

    steps: PositiveInt | None = Field(
        default=None, description="flow steps of the action; null: as many as released"
    )


class WamOptions(FlowOptions):
    """Options of a world-action model; all of them are meant for studies of cost."""

    SIZES: ClassVar[Mapping[str, str]] = {
        **FlowOptions.SIZES,
        "picture": "image_size",
        "text_length": "text_length",
    }

    picture: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="(height, width) in pixels to which the picture of all cameras is resized "
        "before the model sees it; null: as released",
    )
    text_length: PositiveInt | None = Field(
        default=None,
        description="tokens to which text is padded, and cut if it is longer; null: as released",
    )


def parse(kind: type[Chosen], policy: str, options: Mapping[str, Any]) -> Chosen:
    """Validate a policy's options; UserError names the option, its value and the remedy."""
    for name in options:
        if name not in kind.model_fields:
            remedy = did_you_mean(name, kind.model_fields)
            raise UserError(f"policy {policy!r} has no option {name!r}; {remedy}")
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        raise UserError(f"policy {policy!r}, option {one_line(error)}") from None
