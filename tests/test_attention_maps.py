"""Maps end where they should: a policy that stares at the brightest patch, and tables of scores."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from analysis.attention import compare, maps
from analysis.attention.capture import Capture
from analysis.attention.controls import centre_prior, uniform
from analysis.attention.page import _upright
from analysis.attention.scores import MEASURES
from analysis.statistics.clusters import means_of_clusters
from wambench.attention import Attention, Grid, Listen, Reading, Token
from wambench.contract import Orientation, orient
from wambench.errors import UserError

SIZE = 120  # pixels of an upright picture
STEPS, LAYERS, HEADS, ACTIONS, WIDTH = 2, 3, 4, 5, 8
Layout = Literal["side by side", "stacked", "one after the other"]


@dataclass
class Starer:
    """Two cameras; in one layer and head all action tokens read the brightest patch."""

    layout: Layout
    grid: Grid
    layer: int
    head: int
    listen: list[Listen] = field(default_factory=list)

    @property
    def attention(self) -> Attention:
        return Attention(
            cameras={"left": self.grid, "right": self.grid}, frames=0, words=str.split,
            layers=LAYERS, heads=HEADS, steps=STEPS, actions=ACTIONS, parts=("all",),
            watch=self._watch,
        )  # fmt: skip

    def act(self, images: dict[str, NDArray[np.uint8]], random: torch.Generator) -> None:
        """Look: ``images`` as an observation holds them."""
        rows, columns = self.grid[:2]
        bright, tokens = self._patches(images, rows, columns)
        tokens = [*tokens, *[Token("action")] * ACTIONS]
        for step, layer in itertools.product(range(STEPS), range(LAYERS)):
            q = 0.3 * torch.randn(1, ACTIONS, HEADS, WIDTH, generator=random)
            k = 0.3 * torch.randn(1, len(tokens), HEADS, WIDTH, generator=random)
            if layer == self.layer:
                q[:, :, self.head], k[:, :, self.head] = 0, 0
                q[:, :, self.head, 0] = 30
                k[0, : len(bright), self.head, 0] = torch.from_numpy(bright).float()
            reading = Reading(step, layer, "all", q, range(ACTIONS), k, None, tokens)
            for listen in self.listen:
                listen(reading)

    def _patches(
        self, images: dict[str, NDArray[np.uint8]], rows: int, columns: int
    ) -> tuple[NDArray[np.float64], list[Token]]:
        """Brightness of the patches of the picture it makes of its cameras, and what they are."""
        both = [images["left"].mean(axis=2) / 255, images["right"].mean(axis=2) / 255]
        places = list(itertools.product(range(rows), range(columns)))
        if self.layout == "side by side":
            picture = np.concatenate(both, axis=1)
            tokens = [
                Token("image", camera, 0, row, column)
                for row in range(rows)
                for camera in ("left", "right")
                for column in range(columns)
            ]
            shape = (rows, 2 * columns)
        else:
            picture = np.concatenate(both, axis=0)
            tokens = [Token("image", c, 0, *place) for c in ("left", "right") for place in places]
            shape = (2 * rows, columns)
        high, wide = picture.shape[0] // shape[0], picture.shape[1] // shape[1]
        cut = picture.reshape(shape[0], high, shape[1], wide).mean(axis=(1, 3)).ravel()
        if self.layout == "one after the other":  # the cameras swap places, as the tokens do
            half = len(cut) // 2
            return np.roll(cut, half), [*tokens[half:], *tokens[:half]]
        return cut, tokens

    @contextlib.contextmanager
    def _watch(self, listen: Listen) -> Iterator[None]:
        self.listen.append(listen)
        yield
        self.listen.remove(listen)


ORIENTATIONS: tuple[Orientation, ...] = ("upright", "opengl", "rotated_180")
LAYOUTS: tuple[Layout, ...] = ("side by side", "stacked", "one after the other")
SHAPES = [((64, 64), (4, 4)), ((64, 96), (4, 6)), ((48, 64), (6, 4)), ((90, 60), (3, 5))]


def test_the_peak_of_a_map_is_where_the_policy_stares() -> None:
    random = np.random.default_rng(0)
    hits = []
    for number, (orientation, layout, (shape, (rows, columns))) in enumerate(
        itertools.product(ORIENTATIONS, LAYOUTS, SHAPES * 4)
    ):
        camera, row, column = random.choice(["left", "right"]), *random.integers((rows, columns))
        high, wide = SIZE // rows, SIZE // columns
        pictures = {
            name: random.integers(0, 60, (SIZE, SIZE, 3), np.uint8) for name in ("left", "right")
        }
        there = np.s_[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
        pictures[camera][there] = 255
        images = {
            name: orient(np.asarray(Image.fromarray(picture).resize(shape[::-1])), orientation)
            for name, picture in pictures.items()
        }
        starer = Starer(
            layout, Grid(rows, columns), int(random.integers(LAYERS)), int(random.integers(HEADS))
        )
        attention = starer.attention
        with torch.inference_mode(), Capture(attention) as capture:
            starer.act(images, torch.Generator().manual_seed(number))
        (captured,) = capture.taken
        read = captured.parts["all"]
        own = read.by_head[:, starer.layer, starer.head].mean(axis=0)
        assert own[: 2 * rows * columns].max() > 0.9, "the plant is strong"
        for sight in (
            maps.sight(captured, attention),
            maps.sight(captured, attention, layer=starer.layer),
            maps.sight(captured, attention, "maximum", step=1, layer=starer.layer, action=2),
        ):
            drawn = {
                name: maps.painted(weights, starer.grid, SIZE, orientation)
                for name, weights in sight.images.items()
            }
            peak = max(drawn, key=lambda name: drawn[name].max())
            level = drawn[peak].max()
            hits.append(peak == camera and bool((drawn[peak][there] == level).mean() > 0.95))
    assert len(hits) > 400 and np.mean(hits) >= 0.99


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_density_keeps_its_sum_and_fills_crops_only(orientation: Orientation) -> None:
    grid = Grid(3, 5, top=0.1, left=0.25, bottom=0.9, right=0.75)
    weights = np.random.default_rng(1).exponential(size=(3, 5))
    density = maps.density(weights, grid, SIZE, orientation)
    assert density.sum() == pytest.approx(weights.sum())
    top, left, bottom, right = (round(SIZE * edge) for edge in _upright(grid, orientation))
    outside = np.ones((SIZE, SIZE), bool)
    outside[top:bottom, left:right] = False
    assert not density[outside].any() and (density[~outside] > 0).all()


def test_shares_sum_to_one_and_words_are_in_order() -> None:
    starer = Starer("stacked", Grid(4, 4), 0, 0)
    with Capture(starer.attention) as capture:
        image = np.zeros((64, 64, 3), np.uint8)
        starer.act({"left": image, "right": image}, torch.Generator().manual_seed(0))
    found = maps.sight(capture.taken[0], starer.attention)
    assert sum(found.shares.values()) == pytest.approx(1) and set(found.shares) == {
        "image",
        "action",
    }
    with pytest.raises(UserError, match="no layer 3; there are 0 to 2"):
        maps.sight(capture.taken[0], starer.attention, layer=3)


def test_controls_are_distributions() -> None:
    for picture in (uniform(SIZE), centre_prior(SIZE)):
        assert picture.shape == (SIZE, SIZE) and picture.sum() == pytest.approx(1)
    prior = centre_prior(SIZE)
    assert prior.argmax() // SIZE in (SIZE // 2 - 1, SIZE // 2) and prior[0, 0] < 0.1 * prior.max()


def made_scores(effect: float, episodes: int = 40, noise: float = 0.3) -> pd.DataFrame:
    """Scores of two arms whose episodes differ much and whose difference is ``effect``."""
    random = np.random.default_rng(2)
    rows = []
    for episode in range(episodes):
        common = random.normal(0, 2)
        for step, (policy, gain) in itertools.product((0, 16), (("a", effect), ("b", 0.0))):
            value = common + gain + random.normal(0, noise)
            rows.append(
                {
                    "suite": "toy", "task_index": 0, "init_state": episode, "seed": 0, "step": step,
                    "track": "nano", "paradigm": "vla", "policy": policy, "control": "",
                    "view": "mean", "camera": "c", "region": "object", "area": 0.1,
                    **dict.fromkeys(MEASURES, value),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_paired_differences_see_what_single_means_cannot() -> None:
    scores = made_scores(effect=0.3)
    means = compare.means(scores).set_index(["policy", "measure"])
    a, b = means.loc[("a", "lift")], means.loc[("b", "lift")]
    assert a["low"] < b["mean"] < a["high"], "episodes differ too much"
    gap = compare.differences(scores, [("a", "b")]).set_index("measure").loc["lift"]
    assert 0 < gap["low"] < 0.3 < gap["high"] and gap["episodes"] == 40


def test_intervals_cover_the_mean_of_clusters() -> None:
    random = np.random.default_rng(3)
    values = random.normal(1.0, 1.0, (30, 2000))
    _, low, high = means_of_clusters(values)
    assert 0.91 < ((low < 1) & (high > 1)).mean() < 0.97
    sparse = values[:, :2].copy()
    sparse[4:, 0] = np.nan
    found, low, high = means_of_clusters(sparse)
    assert found[0] == pytest.approx(sparse[:4, 0].mean())
    assert np.isnan([low[0], high[0]]).all() and np.isfinite([low[1], high[1]]).all()
