"""Maps of own episodes: planted relations to failure, planted sinks, planted effects."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from analysis.attention import maps, study
from analysis.attention.capture import attention_of
from analysis.attention.own import agreement
from analysis.attention.own.asking import spaced
from analysis.attention.own.effects import Effect, bare, moved, side_of, spread, summed, units
from analysis.attention.own.looks import PICTURE, Ground, Look, ground, scored
from analysis.attention.own.outcomes import ALL, BEFORE, outcomes, shuffled
from analysis.attention.own.sinks import FOLD, sinks
from analysis.attention.own.summary import KEPT, REMOVED, scores_of
from analysis.attention.regions import REGIONS
from analysis.attention.scenes import Moment
from analysis.attention.scores import MEASURES
from tests.gazer import CAMERA, GRID, Gazer
from wambench import Observation
from wambench.attention import Grid

SIZE = 48


def place(task: int = 0, state: int = 0, step: int = 0, policy: str = "p") -> dict[str, Any]:
    return {
        "policy": policy, "control": "", "draw": 0, "paradigm": "vla", "track": "nano",
        "suite": "toy", "task_index": task, "init_state": state, "seed": 0, "step": step,
    }  # fmt: skip


# ---- outcomes ------------------------------------------------------------------------------------


def table(
    away: float, *, tasks: int = 8, states: int = 10, of_task: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """Scores of two moments an episode; failures have ``away`` less lift on the object.

    ``of_task``: how much more lift and success the later tasks have, whatever happens in them.
    """
    random = np.random.default_rng(seed)
    rows = []
    for task, state in itertools.product(range(tasks), range(states)):
        is_success = random.random() < 0.5 + (0.4 * (task / (tasks - 1) - 0.5) if of_task else 0)
        is_success = {0: True, 1: False}.get(state, is_success)  # every task has both
        lift = 1.0 - away * (not is_success) + of_task * task + random.normal(0, 0.2)
        for step, before in ((0, 1.0), (8, 0.0)):
            row = place(task, state, step) | {
                "sinks": KEPT, "camera": "c", "region": "object", "before": before,
                "outcome": "success" if is_success else "failure",
            }  # fmt: skip
            rows.append(row | {"lift": lift, "mass": lift / 10})
    return pd.DataFrame(rows)


def lift_of(found: pd.DataFrame, moments: str = ALL) -> Any:
    rows = found.set_index(["moments", "measure"])
    return rows.loc[(moments, "lift")]


def test_failures_that_look_away_are_found() -> None:
    found = outcomes(table(0.3))
    for moments in (ALL, BEFORE):
        row = lift_of(found, moments)
        assert row["p"] <= row["p_holm"] < 0.01 and row["note"] == ""
        assert 0 < row["low"] < row["difference"] < row["high"] and row["tasks"] == 8
        assert row["difference"] == pytest.approx(0.3, abs=0.12)
        assert row["success"] - row["failure"] == pytest.approx(row["difference"])
        assert row["successes"] + row["failures"] == 80
    assert lift_of(outcomes(table(-0.3)))["high"] < 0, "the sign is success minus failure"


def test_a_task_that_is_easy_and_looked_at_explains_nothing() -> None:
    scores = table(0.0, of_task=1.0, states=20)
    by_outcome = scores.groupby("outcome")["lift"].mean()
    assert by_outcome["success"] - by_outcome["failure"] > 0.5, "pooled, there seems to be much"
    row = lift_of(outcomes(scores))
    assert abs(row["difference"]) < 0.1 and row["p"] > 0.05


def test_without_a_relation_p_is_uniform() -> None:
    random = np.random.default_rng(1)
    found = []
    for _ in range(400):
        tasks = np.repeat(np.arange(6), 8)
        won = random.random(48) < 0.4
        won[::8], won[1::8] = True, False
        found.append(shuffled(random.normal(size=48) + tasks, won, tasks, draws=199))
    p = np.array(found)
    assert p.min() > 0 and 0.44 < p.mean() < 0.56
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        assert abs((p <= level).mean() - level) < 4 * np.sqrt(level * (1 - level) / len(p)) + 0.005


def test_too_few_tasks_are_told_in_words() -> None:
    row = lift_of(outcomes(table(0.3, tasks=4)))
    assert row["note"] == "4 tasks have both outcomes; 5 are needed"
    assert row[["success", "difference", "low", "p", "p_holm"]].isna().all()
    alone = table(0.3)
    alone = alone[alone["outcome"] == "failure"]
    assert lift_of(outcomes(alone))["note"] == "every episode ended in failure"


def test_sinks_are_no_second_question_to_holm() -> None:
    scores = table(0.3)
    both = pd.concat([scores, scores.assign(sinks=REMOVED)], ignore_index=True)
    one, two = outcomes(scores), outcomes(both)
    assert len(two) == 2 * len(one)
    assert two[two["sinks"] == KEPT]["p_holm"].tolist() == one["p_holm"].tolist()


# ---- sinks ---------------------------------------------------------------------------------------


def flat(weights: NDArray[np.float64]) -> Ground:
    """A picture of which nothing is known."""
    return Ground(np.ones(weights.size + 1), {}, np.zeros((weights.size, 2)), None)


def look(weights: Mapping[str, NDArray[np.float64]], task: int, state: int, step: int) -> Look:
    under = {camera: flat(w) for camera, w in weights.items()}
    return Look(place(task, state, step), "failure", None, weights, under)


def noisy(random: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    return {name: 1 + 0.2 * random.random((3, 5)) for name in ("front", "wrist")}


def test_a_sink_is_found_and_a_peak_that_moves_is_not() -> None:
    random = np.random.default_rng(2)
    looks = []
    for state, step in itertools.product(range(6), range(20)):
        weights = noisy(random)
        weights["wrist"][2, 1] = 5.0  # whatever it shows
        weights["front"].flat[(state + step) % 15] = 9.0  # what there is to see moves
        looks.append(look(weights, 0, state, step))
    empty = noisy(random)
    empty["wrist"][2, 1] = 5.0
    found = sinks(looks, [empty])
    assert [sink.token for sink in found.found] == [("wrist", 2, 1)] and not found.why_not
    (sink,) = found.found
    assert FOLD < sink.lowest <= sink.mean and sink.bare > FOLD
    assert np.isnan(sinks(looks).found[0].bare)


def test_a_sink_may_fail_in_few_moments_and_long_episodes_count_once() -> None:
    def made(spoilt: int) -> list[Look]:
        random, looks = np.random.default_rng(3), []
        for state, step in itertools.product(range(10), range(20)):
            weights = noisy(random)
            weights["front"][0, 0] = 1.0 if state == 0 and step < spoilt else 6.0
            looks.append(look(weights, 0, state, step))
        return looks

    assert sinks(made(9)).found, "9 of 200 moments"
    assert not sinks(made(11)).found
    long = [look(one.weights, 0, 0, 100 + n) for n, one in enumerate(made(0)[:20] * 9)]
    assert not sinks(made(11)[:20] + made(0)[20:]).found
    assert sinks(made(11) + long).found, "the spoilt moments are a smaller part of their episode"


def test_few_beginnings_name_no_sink() -> None:
    weights = noisy(np.random.default_rng(4))
    weights["front"][0, 0] = 9.0
    found = sinks([look(weights, 0, state, step) for state in range(4) for step in range(9)])
    assert not found.found and found.why_not.startswith("4 different beginnings; 5")


# ---- scores --------------------------------------------------------------------------------------


def moment(seed: int = 0, grid: Grid = GRID) -> tuple[Moment, dict[str, NDArray[np.float64]]]:
    """A made-up moment of two cameras, and a map."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    roles: dict[str, dict[Any, Any]] = {}
    for camera in ("front", "wrist"):
        (a, b), (c, d) = random.integers(8, 40, (2, 2))
        roles[camera] = {
            "object": (y - a) ** 2 + (x - b) ** 2 < 40, "goal": (y - c) ** 2 + (x - d) ** 2 < 60,
        }  # fmt: skip
    pictures = {camera: np.zeros((SIZE, SIZE, 3), np.uint8) for camera in roles}
    change = {camera: np.zeros((SIZE, SIZE), bool) for camera in roles}
    seen = Observation("e", 0, "do", 1)
    made = Moment("toy", 0, "do", 0, 0, 0, 9, seen, pictures, pictures, roles, change)
    return made, {camera: random.exponential(size=grid[:2]) for camera in roles}


@pytest.mark.parametrize("orientation", ["upright", "opengl", "rotated_180"])
@pytest.mark.parametrize("grid", [GRID, Grid(5, 5, 0.1, 0.2, 0.9, 0.8)])
def test_counted_pixels_score_as_pictures_do(orientation: Any, grid: Grid) -> None:
    made, weights = moment(grid=grid)
    grids = dict.fromkeys(weights, grid)
    attention = attention_of("gazer", Gazer().inference("loaded"))
    found = maps.Sight(weights, {}, [], {})
    attention = replace(attention, cameras=grids)
    tokens = {c: study._tokens(found, attention, c, made, orientation) for c in grids}
    expected = pd.DataFrame(study.scored(made, tokens)).set_index(["camera", "region"])
    ours = pd.DataFrame(scored(ground(made, grids, orientation), weights))
    ours = ours[ours["region"] != PICTURE].set_index(["camera", "region"])
    columns = ["area", *MEASURES]
    pd.testing.assert_frame_equal(
        ours.loc[expected.index, columns], expected[columns], check_exact=False, rtol=1e-9
    )
    assert set(ours.index.get_level_values("region")) < set(REGIONS)


def test_a_sink_takes_its_pixels_with_it() -> None:
    #  weights: 6 1   object: the right column; each token is one pixel
    #           1 2
    under = Ground(
        np.array([1.0, 1, 1, 1, 0]), {"object": np.array([0.0, 1, 0, 1, 0])},
        np.array([[0.5, 0.5], [0.5, 1.5], [1.5, 0.5], [1.5, 1.5]]), np.array([1.0, 1.5]),
    )  # fmt: skip
    weights = {"c": np.array([[6.0, 1], [1, 2]])}

    def rows(*without: tuple[str, int, int]) -> dict[str, Any]:
        return {row["region"]: row for row in scored({"c": under}, weights, without)}

    whole, rest = rows()["object"], rows(("c", 0, 0))["object"]
    numbers = [row[name] for row in (whole, rest) for name in ("mass", "area", "lift")]
    assert numbers == pytest.approx([0.3, 0.5, 0.6, 0.75, 2 / 3, 0.75 * 3 / 2])
    assert whole["distance"] == pytest.approx(np.hypot(0.5, 1)) and rest["distance"] == 0.5
    p = np.array([1, 1, 2]) / 4
    assert rows(("c", 0, 0))[PICTURE]["entropy"] == pytest.approx(
        -(p * np.log(p)).sum() / np.log(3)
    )


def test_scores_come_with_and_without_sinks() -> None:
    looks = []
    for state in range(6):
        made, weights = moment(state)
        weights["wrist"][3, 5] = 60.0
        under = ground(made, dict.fromkeys(weights, GRID), "upright")
        looks.append(Look(place(0, state), "success", state > 2, weights, under))
    table = scores_of(looks, {"p": sinks(looks)})
    assert table["sinks"].value_counts().to_dict() == {
        KEPT: len(table) // 2,
        REMOVED: len(table) // 2,
    }
    entropy = table[(table["region"] == PICTURE) & (table["camera"] == "wrist")]
    by = entropy.groupby("sinks")["entropy"].mean()
    assert by[KEPT] < by[REMOVED] - 0.1
    few = scores_of(looks[:3], {"p": sinks(looks[:3])})
    assert set(few["sinks"]) == {KEPT}


# ---- effects -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (4, 6), (8, 8), (7, 5), (16, 16), (1, 40)])
def test_blocks_cover_every_token_once(rows: int, columns: int) -> None:
    side = side_of(rows, columns)
    assert side == (1 if rows * columns <= 32 else side)
    weights = np.random.default_rng(5).random((rows, columns))
    blocks = summed(weights)
    assert blocks.size <= 32 and blocks.sum() == pytest.approx(weights.sum())
    assert spread(blocks, weights.shape).shape == weights.shape
    np.testing.assert_allclose(summed(spread(blocks, weights.shape)), blocks)
    attention = attention_of("gazer", Gazer().inference("loaded"))
    attention = replace(attention, cameras={"c": Grid(rows, columns)})
    those = units(attention)["c"]
    assert sorted(t for block in those for t in block) == [
        ("c", *at) for at in np.ndindex(rows, columns)
    ]
    by_block = [sum(weights[r, c] for _, r, c in block) for block in those]
    np.testing.assert_allclose(by_block, blocks.ravel())


def measured(gazer: Gazer, episodes: int = 6, moments: int = 3) -> list[Effect]:
    """Effects of a policy over random pictures."""
    attention = attention_of("gazer", gazer.inference("loaded"))
    weights = np.full(GRID[:2], 0.01)
    weights.flat[gazer.reads] = 1.0
    out = []
    for episode, step in itertools.product(range(episodes), range(moments)):
        random = np.random.default_rng([episode, step])
        image = random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        seen = Observation(f"{episode}", step, "do", episode, {CAMERA: image})
        change = moved(gazer, seen, attention, gazer.act([seen])[0])
        at = look({CAMERA: weights}, 0, episode, step)
        out.append(Effect(at, change, {CAMERA: weights}))
    return out


def test_what_the_action_depends_on_has_the_effect() -> None:
    for one in measured(Gazer(acts_on=15)):
        change = one.moved[CAMERA]
        assert change.argmax() == 15 and (np.delete(change.ravel(), 15) == 0).all()


def test_attention_that_looks_there_agrees_and_elsewhere_does_not() -> None:
    (there,) = agreement.agreement(measured(Gazer(acts_on=15, reads=15))).to_dict("records")
    assert there["mean"] == pytest.approx(1) and there["episodes"] == 6 and there["p"] < 0.01
    assert there["low"] == pytest.approx(1)
    (away,) = agreement.agreement(measured(Gazer(acts_on=15, reads=2))).to_dict("records")
    assert away["mean"] == pytest.approx(-1 / 23) and away["p"] > 0.1
    assert abs(there["null"]) < 0.1


def test_an_even_map_has_no_rank() -> None:
    effects = [
        Effect(one.look, {CAMERA: np.zeros(GRID[:2])}, one.bare) for one in measured(Gazer())
    ]
    (row,) = agreement.agreement(effects).to_dict("records")
    assert row["episodes"] == 0 and np.isnan(row["mean"]) and np.isnan(row["p"])


def test_effects_are_scored_beside_attention_and_moved_maps() -> None:
    made: Sequence[Effect] = measured(Gazer(acts_on=15, reads=2))
    inside = np.zeros(GRID.rows * GRID.columns + 1)
    inside[15] = 1.0
    pixels = np.append(np.ones(GRID.rows * GRID.columns), 0.0)
    under = Ground(pixels, {"object": inside}, np.zeros((24, 2)), None)
    effects = [
        Effect(
            Look(o.look.place, "failure", None, o.look.weights, {CAMERA: under}), o.moved, o.bare
        )
        for o in made
    ]
    rows = agreement.scores(effects).set_index(["map", "measure"])
    did, read = rows.loc[("effect", "mass")], rows.loc[("attention", "mass")]
    assert did["mean"] == pytest.approx(1) and did["null"] == 0 and did["low"] > 0.99
    assert read["mean"] < 0.02 and rows.loc[("effect", "lift"), "mean"] == pytest.approx(24)


def test_a_bare_picture_shows_one_colour() -> None:
    image = np.random.default_rng(6).integers(0, 256, (8, 8, 3), np.uint8)
    seen = bare(Observation("e", 0, "do", 1, {CAMERA: image})).images[CAMERA]
    assert seen.shape == image.shape and len(np.unique(seen.reshape(-1, 3), axis=0)) == 1
    assert abs(seen.mean() - image.mean()) < 1


def test_moments_are_spaced_from_end_to_end() -> None:
    assert spaced(35, 4) == [0, 11, 23, 34] and spaced(2, 4) == [0, 1] and spaced(9, 0) == []
