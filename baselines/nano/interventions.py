"""What a nano policy may be made blind to, and what may stand in its future's place: the options.

They ask, in the closed loop, whether an action *depends* on something. Every one of them is a
policy of its own, named by its options in a sweep file; without any the policy is what it was, to
the bit. What each does is defined in docs/imagination.md. No torch here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from baselines.core.checkpoints.statistics import Kind, Statistics
from baselines.nano.config import NanoConfig
from wambench import Observation, UserError
from wambench.contract import Frozen

Context = Literal["text", "wrist", "proprioception"]
Future = Literal["own", "masked", "present", "noise", "frozen", "other", "oracle"]

GREY = 128  # of 255: a camera that shows nothing, the same for every paradigm


class Interventions(Frozen):
    """Options that take something from a policy."""

    blank: tuple[Context, ...] = Field(
        default=(),
        description="an intervention: hear no word (text), see the wrist camera grey (wrist), feel "
        "the mean of the training data (proprioception)",
    )
    future: Future = Field(
        default="own",
        description="an intervention: what the action reads as its future. masked: nothing; "
        "present: the present frame; noise; frozen: that of the episode's first decision; other: "
        "another episode's, of the file 'futures'; oracle: that of the suite's expert; "
        "own: what it imagines itself",
    )
    futures: Path | None = Field(
        default=None,
        description="frames to choose other futures from: a futures.npz of 'wambench imagine'",
    )


def check(preset: NanoConfig, chosen: Interventions) -> None:
    """Raise UserError where an intervention could not change, or not mean, what it says."""
    named = f"policy {preset.name!r}, option future: {chosen.future!r}"
    if chosen.future != "own":
        why = _no_future(preset)
        if why:
            raise UserError(f"{named}: {why}; leave it out")
        if preset.reads == "noise" and chosen.future != "masked":
            raise UserError(
                f"{named}: the goal it reads is pure noise, which shows no future; name 'masked'"
            )
    if chosen.future == "other" and chosen.futures is None:
        raise UserError(
            f"{named}: no frames to choose from; name as option futures a futures.npz that "
            "'wambench imagine' wrote"
        )
    if chosen.future != "other" and chosen.futures is not None:
        raise UserError(f"{named}: it reads no file of futures; leave 'futures' out, or name other")
    if chosen.futures is not None and not chosen.futures.is_file():
        raise UserError(
            f"policy {preset.name!r}, option futures: there is no file {str(chosen.futures)!r}; "
            "name a futures.npz that 'wambench imagine' wrote"
        )


def _no_future(preset: NanoConfig) -> str:
    """Why a policy's action cannot read any future; empty if it does."""
    if preset.kind in ("pi0", "oft"):
        return "it imagines no future"
    if preset.mode == "plain" or (preset.kind == "imagewam" and preset.reads is None):
        return "its action cannot read the future by construction (no token of it sees any)"
    return ""


def told(seen: Observation, chosen: Interventions) -> Observation:
    """What is heard and seen; the instruction without words is one token of no word ever met."""
    images = dict(seen.images)
    if "wrist" in chosen.blank:
        images["wrist"] = np.full_like(images["wrist"], GREY)
    text = "" if "text" in chosen.blank else seen.instruction
    return dataclasses.replace(seen, instruction=text, images=images)


def mean_state(statistics: Statistics | None, kind: Kind, dims: int) -> NDArray[np.float32]:
    """The training data's mean state as a policy is given it [dims]; without statistics zeros."""
    if statistics is None:
        return np.zeros(dims, np.float32)
    return statistics.state.normalise(statistics.state.mean, kind)
