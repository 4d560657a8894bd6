"""Whether what is looked at matters: blank it, and see how far the action moves.

Deletion and insertion after Petsiuk et al. (2018, arXiv:1806.07421), with the distance between
action chunks in the place of a class's probability, and random squares as what must be beaten.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.attention import maps
from analysis.attention.capture import attention_of
from analysis.attention.scenes import Moment
from analysis.attention.study import Arm, about, read_once
from wambench import plugins
from wambench.attention import Attention
from wambench.contract import Observation
from wambench.policy import Policy

FRACTIONS = (0.125, 0.25, 0.5)  # of all image tokens
DRAWS = 4  # random choices of as many
Test = Literal["deletion", "insertion"]


def moved(
    arm: Arm, moments: Sequence[Moment], fractions: Sequence[float] = FRACTIONS
) -> pd.DataFrame:
    """Blank the tokens that are read most, and as many at random; see how far the action moves.

    A token is blanked by painting its pixels in the mean colour of its camera's image.
    ``deletion`` blanks so many tokens of the whole picture: the action should move *far*.
    ``insertion`` blanks all others: with what matters left, the action should stay *near*.

    Returns:
        A row per moment, test, fraction and choice (``most read`` or ``random``, the mean of
        ``DRAWS``): ``moved``, the mean absolute change of the chunk in its own units; whose row it
        is as in the scores.
    """
    policy = plugins.make_policy(arm.name, arm.options)
    policy.load()
    inference = policy.inference("loaded")
    attention = attention_of(arm.policy, inference)
    assert inference is not None
    rows = []
    for number, moment in enumerate(moments):
        weights = maps.sight(read_once(policy, inference, attention, moment), attention).images
        tokens = [
            (camera, *place) for camera, w in weights.items() for place in np.ndindex(w.shape)
        ]
        order = np.argsort([-weights[camera][row, column] for camera, row, column in tokens])
        random = np.random.default_rng(number)  # the same choices for every policy
        whole = _act(policy, moment.seen)
        for fraction in fractions:
            count = max(1, round(fraction * len(tokens)))
            choices = [order[:count]] + [
                random.permutation(len(tokens))[:count] for _ in range(DRAWS)
            ]
            for test in ("deletion", "insertion"):
                gaps = [
                    _gap(policy, moment.seen, attention, tokens, chosen, test, whole)
                    for chosen in choices
                ]
                place = about(arm, policy, moment) | {"test": test, "fraction": fraction}
                rows.append(place | {"choice": "most read", "moved": gaps[0]})
                rows.append(place | {"choice": "random", "moved": float(np.mean(gaps[1:]))})
    return pd.DataFrame(rows)


def _gap(
    policy: Policy,
    seen: Observation,
    attention: Attention,
    tokens: Sequence[tuple[str, int, int]],
    chosen: NDArray[np.intp],
    test: Test,
    whole: NDArray[np.floating],
) -> float:
    is_chosen = np.zeros(len(tokens), bool)
    is_chosen[chosen] = True
    blank = is_chosen if test == "deletion" else ~is_chosen
    gone = [token for token, is_gone in zip(tokens, blank, strict=True) if is_gone]
    images = blanked(seen.images, attention, gone)
    return float(np.abs(_act(policy, dataclasses.replace(seen, images=images)) - whole).mean())


def blanked(
    images: Mapping[str, NDArray[np.uint8]],
    attention: Attention,
    gone: Sequence[tuple[str, int, int]],
) -> Mapping[str, NDArray[np.uint8]]:
    """Images with some tokens (camera, row, column) painted over, as the policy is given them."""
    out: dict[str, Any] = dict(images)
    for camera, grid in attention.cameras.items():
        marks = np.zeros(grid[:2])
        for name, row, column in gone:
            if name == camera:
                marks[row, column] = 1
        image = images[camera]
        covered = maps.covered(marks, grid, image.shape[:2])
        mean = image.reshape(-1, image.shape[-1]).mean(axis=0).round().astype(image.dtype)
        out[camera] = np.where(covered[..., None], mean, image)
    return out


def _act(policy: Policy, seen: Observation) -> NDArray[np.floating]:
    return np.asarray(policy.act([seen])[0])
