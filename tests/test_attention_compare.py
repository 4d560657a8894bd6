"""Summaries of an attention study over its episodes."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from analysis.attention import compare, figures


def moves(effect: float, moments_of_first: int = 1, episodes: int = 12) -> pd.DataFrame:
    """Most read tokens move the action by ``effect`` more than random ones; the first not at all.

    Moments scatter together within an episode.
    """
    random = np.random.default_rng(0)
    rows = []
    for episode in range(episodes):
        level = random.normal(1, 0.5)
        for step in range(moments_of_first if episode == 0 else 1):
            for test, fraction in itertools.product(("deletion", "insertion"), (0.25, 0.5)):
                place = {
                    "suite": "toy", "task_index": 0, "init_state": episode, "seed": 0, "step": step,
                    "track": "nano", "paradigm": "vla", "policy": "a", "control": "",
                    "test": test, "fraction": fraction,
                }  # fmt: skip
                gain = effect + random.normal(0, 0.01) if episode else 0.0
                rows.append(place | {"choice": "most read", "moved": level + gain})
                rows.append(place | {"choice": "random", "moved": level})
    return pd.DataFrame(rows)


def found(moved: pd.DataFrame, choice: str) -> pd.Series:
    table = compare.blanking(moved).set_index(["test", "fraction", "choice"])
    return table.loc[("deletion", 0.25, choice)]


def test_blanking_is_compared_within_the_episode() -> None:
    gap, alone = found(moves(0.3), "difference"), found(moves(0.3), "most read")
    assert gap["mean"] == pytest.approx(0.3 * 11 / 12, abs=0.01) and gap["episodes"] == 12
    assert 0 < gap["low"] < gap["mean"] < gap["high"]
    assert alone["high"] - alone["low"] > 3 * (gap["high"] - gap["low"]), "levels cancel"
    nothing = found(moves(0.0), "difference")
    assert nothing["low"] < 0 < nothing["high"]


def test_a_long_episode_counts_once() -> None:
    assert found(moves(0.3, moments_of_first=50), "difference")["mean"] == pytest.approx(
        found(moves(0.3), "difference")["mean"], abs=0.01
    )


def test_curves_have_bands_where_there_are_enough_episodes() -> None:
    drawn = figures.causal_curves(compare.blanking(moves(0.3)))
    assert len(drawn.axes) == 2, "deletion, insertion"
    for axes in drawn.axes:
        assert [line.get_label() for line in axes.lines] == ["most read", "random"]
        assert len(axes.collections) == 2
    few = compare.blanking(moves(0.3, episodes=2))
    assert few["low"].isna().all() and len(figures.causal_curves(few).axes) == 2
