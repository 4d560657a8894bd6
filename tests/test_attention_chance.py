"""Networks that were never trained know nothing: many of them together score at chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.attention.scenes import Course, Looking, Moment, gather
from analysis.attention.scores import chance
from analysis.attention.study import Arm, ask
from wambench import plugins
from wambench.protocols import protocol

pytestmark = pytest.mark.slow

NETWORKS = 16
REGIONS = ("change", "object")
POLICIES = ("nano-imagewam", "nano-fastwam", "nano-pi0", "nano-oft")
PROTOCOL = "nano-1"


@pytest.fixture(scope="module")
def moments() -> Sequence[Moment]:
    rules, spec = protocol(PROTOCOL), plugins.make_policy(POLICIES[0], {}).spec
    looking = Looking(rules, spec, stride=40, ahead=16, rendering=rules.rendering)
    places = [("libero_object", 2), ("libero_spatial", 6)]
    return [m for place in places for m in gather([Course(*place, 41)], looking)]


def shuffled(moments: Sequence[Moment]) -> Sequence[Moment]:
    """The same regions over pictures without any: every pixel is somewhere else."""
    random = np.random.default_rng(0)

    def scattered(image: np.ndarray) -> np.ndarray:
        return random.permutation(image.reshape(-1, image.shape[-1])).reshape(image.shape)

    return [
        replace(m, seen=replace(m.seen, images={c: scattered(x) for c, x in m.seen.images.items()}))
        for m in moments
    ]


def surprise(
    policy: str, moments: Sequence[Moment]
) -> Mapping[tuple[str, str], tuple[float, float]]:
    """(Region, measure) -> mean distance from chance over networks, and its two-sided p."""
    rows = pd.concat(
        ask(
            Arm(policy, policy, {"untrained": draw}, "untrained", draw),
            moments,
            protocol(PROTOCOL).orientation,
            views=("mean",),
        ).scores
        for draw in range(NETWORKS)
    )
    rows = rows[(rows.camera == "agentview") & rows.region.isin(REGIONS)]
    found = {}
    for measure in chance(0.5):
        rows["gap"] = rows[measure] - rows.area.map(lambda area, m=measure: chance(area)[m])
        gaps = rows.groupby(["region", "draw"]).gap.mean().unstack()  # a network is one opinion
        for region, gap in gaps.iterrows():
            found[str(region), measure] = gap.mean(), stats.ttest_1samp(gap, 0).pvalue
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_random_weights_are_at_chance(policy: str, moments: Sequence[Moment]) -> None:
    # A network that favours what stands out would pass for one that looks at objects. Where it
    # does (see below), it is held to pictures in which nothing does.
    asked = shuffled(moments) if policy == "nano-fastwam" else moments
    found = surprise(policy, asked)
    assert {region for region, _ in found} == set(REGIONS)
    assert min(p for _, p in found.values()) > 0.01 / len(found), found


def test_random_fastwam_reads_what_stands_out(moments: Sequence[Moment]) -> None:
    # Tokens that look alike have like keys and share what a softmax gives to such keys, so bare
    # table is read less by every network, trained or not. Chance is no bar for it: its own
    # untrained networks are, which is why they are among the controls of every study.
    gap, p = surprise("nano-fastwam", moments)["change", "auroc"]
    assert gap > 0.02 and p < 0.01
