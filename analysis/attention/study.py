"""Ask policies at the same moments what they read, and score all maps against the same regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.attention import controls, maps
from analysis.attention.capture import Capture, attention_of
from analysis.attention.maps import View
from analysis.attention.reduce import Captured
from analysis.attention.regions import REGIONS, region
from analysis.attention.scenes import Moment
from analysis.attention.scores import score, score_levels
from wambench import plugins
from wambench.attention import Attention
from wambench.contract import Orientation
from wambench.inference import Inference
from wambench.policy import Policy

SCORED: tuple[View, ...] = ("mean", "early", "middle", "late", "maximum", "rollout")
BOTH = "all cameras"

Keep = Callable[[Moment], bool]


@dataclass(frozen=True)
class Arm:
    """A policy as it is, or one of its controls (``control``: which; ``draw``: of several)."""

    policy: str
    name: str  # entry point
    options: Mapping[str, Any] = field(default_factory=dict)
    control: str = ""
    draw: int = 0


@dataclass(frozen=True)
class Seen:
    """What an arm read at a moment that is to be drawn."""

    arm: Arm
    moment: Moment
    attention: Attention
    captured: Captured


@dataclass(frozen=True)
class Asked:
    """What asking an arm at every moment gave.

    Attributes:
        scores: a row per moment, view, camera and region, see :func:`scored`.
        shares: a row per moment and kind of token.
        kept: what is to be drawn.
        kept_bytes: of the capture, for one decision.
    """

    scores: pd.DataFrame
    shares: pd.DataFrame
    kept: Sequence[Seen]
    kept_bytes: int


def arms_of(label: str, name: str, options: Mapping[str, Any]) -> Sequence[Arm]:
    """A policy and its own controls."""
    policy = plugins.make_policy(name, options)
    return [
        Arm(label, name, options),
        *(
            Arm(label, variant.policy, variant.options, control, draw)
            for control, draws in policy.controls().items()
            for draw, variant in enumerate(draws)
        ),
    ]


def ask(
    arm: Arm,
    moments: Sequence[Moment],
    orientation: Orientation,
    keep: Keep = lambda moment: False,
    views: Sequence[View] = SCORED,
) -> Asked:
    """Let an arm decide at every moment, and score what it read.

    Args:
        arm: it is loaded here.
        moments: of any episodes.
        orientation: in which the protocol hands out images.
        keep: moments whose capture is to be kept for drawing.
        views: ways to look at it; those a policy does not have are left out.

    Raises:
        UserError: a policy that shows no attention.
    """
    policy = plugins.make_policy(arm.name, arm.options)
    policy.load()
    inference = policy.inference("loaded")
    attention = attention_of(arm.policy, inference)
    assert inference is not None
    scores, shares, kept, size = [], [], [], 0
    for moment in moments:
        captured = read_once(policy, inference, attention, moment)
        size = captured.bytes_per_step
        place = about(arm, policy, moment)
        for view in views:
            if view == "rollout" and not _has_rollout(captured):
                continue
            found = maps.sight(captured, attention, view)
            tokens = {
                c: _tokens(found, attention, c, moment, orientation) for c in attention.cameras
            }
            scores += [place | {"view": view} | row for row in scored(moment, tokens)]
            if view == "mean":
                shares += [place | {"kind": k, "share": share} for k, share in found.shares.items()]
        if keep(moment):
            kept.append(Seen(arm, moment, attention, captured))
    return Asked(pd.DataFrame(scores), pd.DataFrame(shares), kept, size)


def read_once(
    policy: Policy, inference: Inference, attention: Attention, moment: Moment
) -> Captured:
    """Capture one decision."""
    import torch

    with torch.inference_mode(), Capture(attention) as capture:
        inference.program.run(inference.state([moment.seen]))
    return capture.taken[-1]


def ask_nothing(moments: Sequence[Moment], cameras: Sequence[str]) -> pd.DataFrame:
    """Scores of maps without a policy: uniform, the centre prior, and the region itself."""
    rows = []
    for moment in moments:
        size = moment.pictures[cameras[0]].shape[0]
        about = _place(moment) | {
            "paradigm": "none", "track": "none", "draw": 0, "view": "mean",
        }  # fmt: skip
        flat = {"uniform": controls.uniform(size), "centre prior": controls.centre_prior(size)}
        for name in REGIONS:
            masks = {camera: region(moment, name, camera) for camera in cameras}
            for camera, mask in _with_both(masks):
                if not 0 < mask.mean() < 1:
                    continue
                row = about | {"camera": camera, "region": name, "area": float(mask.mean())}
                many = mask.size // size**2
                for label, picture in flat.items():
                    found = score(np.tile(picture.ravel(), many), mask)
                    rows.append(row | {"policy": label, "control": label} | asdict(found))
                found = score(mask, mask)
                rows.append(row | {"policy": "the region", "control": "oracle"} | asdict(found))
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Tokens:
    """One camera's tokens over its picture: weight of a pixel of each, and which pixel is whose."""

    per_pixel: np.ndarray  # [n]
    token_of: np.ndarray  # [S * S]
    weight: float  # of all


def _tokens(
    found: maps.Sight, attention: Attention, camera: str, moment: Moment, orientation: Orientation
) -> _Tokens:
    size = moment.pictures[camera].shape[0]
    density = maps.density(found.images[camera], attention.cameras[camera], size, orientation)
    levels, token_of = np.unique(density, return_inverse=True)
    return _Tokens(levels, token_of.ravel(), float(density.sum()))


def scored(moment: Moment, tokens: Mapping[str, _Tokens]) -> Iterator[dict[str, Any]]:
    """A row per region and camera that shows it: its share of the area, and every measure."""
    for name in REGIONS:
        inside, outside, levels = [], [], []
        for camera, own in tokens.items():
            mask = region(moment, name, camera).ravel()
            counts = np.bincount(own.token_of, minlength=own.per_pixel.size)
            within = np.bincount(own.token_of[mask], minlength=own.per_pixel.size)
            inside.append(within)
            outside.append(counts - within)
            levels.append(own.per_pixel)
            if 0 < mask.mean() < 1 and own.weight > 0:
                found = score_levels(own.per_pixel, within, counts - within)
                yield {"camera": camera, "region": name, "area": mask.mean()} | asdict(found)
        a, b = np.concatenate(inside), np.concatenate(outside)
        if len(tokens) > 1 and a.any() and b.any():
            found = score_levels(np.concatenate(levels), a, b)
            area = a.sum() / (a.sum() + b.sum())
            yield {"camera": BOTH, "region": name, "area": area} | asdict(found)


def _with_both(masks: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    for camera, mask in masks.items():
        yield camera, mask.ravel()
    if len(masks) > 1:
        yield BOTH, np.concatenate([mask.ravel() for mask in masks.values()])


def _has_rollout(captured: Captured) -> bool:
    return any(read.rollout is not None for read in captured.parts.values())


def _place(moment: Moment) -> dict[str, Any]:
    return {
        "suite": moment.suite,
        "task_index": moment.task_index,
        "init_state": moment.init_state,
        "seed": moment.seed,
        "step": moment.step,
    }


def about(arm: Arm, policy: Policy, moment: Moment) -> dict[str, Any]:
    """The columns that say whose row it is, and of when."""
    return {
        "policy": arm.policy,
        "control": arm.control,
        "draw": arm.draw,
        "paradigm": policy.spec.paradigm,
        "track": policy.spec.track,
        **_place(moment),
    }
