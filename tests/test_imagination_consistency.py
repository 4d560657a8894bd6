"""Does what is imagined change as it should when the action does? Planted policies, all known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.imagination.consistency import (
    CONSISTENCY,
    OWN,
    RESPONSE,
    SHUFFLED,
    consistency,
    headline,
    redrawn,
    summary,
)
from analysis.imagination.moments import Episode
from analysis.imagination.study import study
from tests.test_imagination import (  # noqa: F401  (a fixture)
    OFFSETS,
    RULES,
    STRIDE,
    Planted,
    copied,
    episodes,
    true,
)
from wambench import Observation

DRAWS = 4
Chosen = Callable[[Observation], NDArray[np.float64]]
Told = dict[tuple[str, str], tuple[float, float, float]]


def by_noise(seen: Observation) -> NDArray[np.float64]:
    """A push whose strength and side the noise decides."""
    return np.tile([np.random.default_rng(seen.noise_seed).uniform(-1, 1), 0.0], (8, 1))


def otherwise(seen: Observation) -> NDArray[np.float64]:
    """As by_noise, of a noise that is not the action's."""
    return np.tile([np.random.default_rng(seen.noise_seed + 1).uniform(-1, 1), 0.0], (8, 1))


def always(seen: Observation) -> NDArray[np.float64]:
    return np.tile([0.5, 0.0], (8, 1))


class Whim(Planted):
    """Acts by its noise, and imagines what it is told to."""

    def __init__(self, dream: Any, choose: Chosen = by_noise) -> None:
        super().__init__(dream)
        self._choose = choose

    def act(self, observations: Sequence[Observation]) -> list[Any]:
        return [self._choose(seen) for seen in observations]


def told(policy: Planted, episodes: Sequence[Episode]) -> Told:  # noqa: F811
    found = study("p", policy, OFFSETS, episodes, RULES, STRIDE, draws=DRAWS)
    means = summary(found.drawn)
    if not len(means):
        return {}
    means = means[means["offset"] == OFFSETS[-1]]
    keys = zip(means["prediction"], means["measure"], strict=True)
    return dict(zip(keys, means[["mean", "low", "high"]].itertuples(index=False), strict=True))


def of(choose: Chosen, episodes: Sequence[Episode]) -> Any:  # noqa: F811
    """Imagines the true future of what is chosen."""
    return lambda seen: true(episodes, choose(seen))(seen)


def test_planted_imaginations_follow_the_action_or_do_not(
    episodes: Sequence[Episode],  # noqa: F811
) -> None:
    own = told(Whim(of(by_noise, episodes)), episodes)
    assert own[OWN, CONSISTENCY][0] == pytest.approx(1)
    assert own[OWN, RESPONSE][0] == pytest.approx(1)
    mean, low, high = own[SHUFFLED, CONSISTENCY]
    assert low < 0 < high < 0.6 and abs(mean) < 0.1
    other = told(Whim(of(otherwise, episodes)), episodes)  # natural pictures, of another action
    mean, low, high = other[SHUFFLED, CONSISTENCY]
    assert low <= other[OWN, CONSISTENCY][0] <= high
    still = told(Whim(copied), episodes)  # a future that no action changes
    assert still[OWN, CONSISTENCY][0] == still[OWN, RESPONSE][0] == 0
    steady = Whim(of(by_noise, episodes), always)  # nothing to follow
    assert told(steady, episodes) == {}


def test_one_draw_says_nothing_and_is_the_episodes_own(
    episodes: Sequence[Episode],  # noqa: F811
) -> None:
    found = study("p", Whim(of(by_noise, episodes)), OFFSETS, episodes, RULES, STRIDE)
    assert len(found.drawn) == 0 and len(summary(found.drawn)) == 0
    seen = found.moments[0].seen
    assert redrawn(seen, 0) is seen
    seeds = {redrawn(seen, draw).noise_seed for draw in range(5)}
    assert len(seeds) == 5 and all(0 <= seed < 2**63 for seed in seeds)


def futures(scale: float, *, noise: float = 0.0, seed: int = 0) -> NDArray[np.uint8]:
    """[K, 1, 1, H, W, 3]: draws that differ from 128 by ``scale`` times a pattern of their own."""
    random = np.random.default_rng(0)
    patterns = random.normal(size=(DRAWS, 1, 1, 16, 16, 3))
    blur = noise * np.random.default_rng(seed + 1).normal(size=patterns.shape)
    return (128 + 20 * (scale * patterns + blur)).clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("own", "correlation", "response"),
    [
        (futures(1), 1, 1),
        (futures(0.5), 1, 0.5),  # half as far
        (futures(-1), -1, -1),  # the other way
        (futures(1, noise=1), 0.7, 1),  # and something of its own
        (futures(0, noise=1), 0, 0),
        (futures(1) // 2 + np.uint8(9), 1, 0.5),  # what a codec loses everywhere counts for nothing
    ],
)
def test_correlation_and_response_are_of_what_draws_have_of_their_own(
    own: NDArray[np.uint8], correlation: float, response: float
) -> None:
    (row,) = consistency(own, futures(1))
    assert np.trace(row["pairing"]) == pytest.approx(correlation, abs=0.06)
    assert row["covered"] / row["varied"] == pytest.approx(response, abs=0.06)
    # Paired at random nothing is left, whatever the imagination: the mean over all orders is 0.
    assert row["pairing"].sum() == pytest.approx(0, abs=1e-9)


def test_the_null_is_wide_where_there_is_little_to_go_by(tmp_path: Path) -> None:
    import pandas as pd

    place = {"policy": "p", "suite": "s", "task_index": 0, "seed": 0, "offset": 8, "camera": "c"}
    drawn = [
        place | {"init_state": number} | row
        for number in range(12)
        for row in consistency(futures(0, noise=1, seed=number), futures(1))
    ]
    few, many = summary(pd.DataFrame(drawn[:2])), summary(pd.DataFrame(drawn))
    wide, narrow = (
        table[table["prediction"] == SHUFFLED].iloc[0][["low", "high"]] for table in (few, many)
    )
    assert wide["low"] < narrow["low"] < 0 < narrow["high"] < wide["high"]
    (line,) = headline(many, 8, "c")
    assert line["policy"] == "p" and " to " in line[CONSISTENCY] and " to " in line[SHUFFLED]
    own = many[(many["prediction"] == OWN) & (many["measure"] == CONSISTENCY)].iloc[0]
    assert narrow["low"] <= own["mean"] <= narrow["high"]
