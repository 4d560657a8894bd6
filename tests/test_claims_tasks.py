"""Over which tasks printed averages are: the arithmetic, the draws, and careful words."""

from __future__ import annotations

import json
import random
from collections import Counter
from importlib import util

import pytest

from analysis.claims import draws, weightings
from analysis.claims.published import Published, Readings, load
from analysis.claims.rows import Row
from tests.conftest import CommandLine
from tests.test_claims import changed, row_of

KEY = "table3_and_7_libero_plus"
FOUND = {
    "FastWAM": (51.5, 49.96, 51.44, 49.61, 49.94),
    "ImageWAM (OmniGen2)": (71.8, 71.30, 71.57, 71.80, 71.76),
    "ImageWAM (Ovis-U1)": (71.2, 71.00, 71.41, 71.15, 71.19),
    "ImageWAM (FLUX.2 4B)": (83.1, 82.21, 82.91, 82.94, 83.12),
    "ImageWAM (FLUX.2 9B)": (85.2, 84.63, 85.34, 85.21, 85.46),
}
"""Row -> printed; all tasks alike, axes alike, a draw of 20 % and one of 15 %."""


@pytest.fixture(scope="module")
def data() -> tuple[Published, Readings]:
    return load()


@pytest.fixture(scope="module")
def rows(data: tuple[Published, Readings]) -> list[Row]:
    return weightings.rows(*data)


def test_every_average_is_held_against_every_way_to_form_it(
    data: tuple[Published, Readings], rows: list[Row]
) -> None:
    for name, (printed, *values) in FOUND.items():
        row = row_of(rows, f"{KEY}.{name}.average/arithmetic tasks")
        assert row.claimed == printed and row.verdict == "not consistent"
        assert [round(one.value, 2) for one in row.findings] == values
        assert all(f"{value:.2f}" in row.why for value in values)
        assert "no proof" in row.why
    others = {str(cells[0]) for cells in data[0].tables[KEY].rows} - {*FOUND}
    for name in others:
        row = row_of(rows, f"{KEY}.{name}.average/arithmetic tasks")
        assert row.verdict == "consistent" and row.found == pytest.approx(row.claimed, abs=0.05)
        assert "proof" not in row.why
    summed = row_of(rows, f"{KEY}/arithmetic tasks")
    assert (summed.found, summed.verdict) == (len(others), "not consistent")
    assert "0.2 to 1.5 points above" in summed.why and "neither is shown" in summed.why
    assert set(FOUND) <= {name for name in FOUND if name in summed.why}


def test_how_sure_a_draw_is_and_which_columns_fit_it(
    data: tuple[Published, Readings], rows: list[Row]
) -> None:
    why = row_of(rows, f"{KEY}.ImageWAM (FLUX.2 9B).average/arithmetic tasks").why
    assert "6 of 7 columns can be fractions of a 20 % draw's counts" in why
    assert "sure to 1.5 points" in why and "a 15 % draw's" not in why
    # 100 episodes at a half: 1.96 times 5 points.
    assert weightings.sure_to({"a": 50.0}, {"a": 100}) == pytest.approx(9.8, abs=0.01)
    assert weightings.is_fraction(33.3, 3) and weightings.is_fraction(66.6, 3)
    assert weightings.is_fraction(66.7, 3) and weightings.is_fraction(100.0, 3)
    assert not weightings.is_fraction(50.0, 3) and not weightings.is_fraction(33.4, 3)
    assert weightings.weighted({"a": 10.0, "b": 40.0}, {"a": 2, "b": 1}) == 20.0


def test_a_verdict_turns_with_the_printed_average(data: tuple[Published, Readings]) -> None:
    published, readings = data
    mended = changed(published, KEY, "FastWAM", "average", 50.0)
    name = f"{KEY}.FastWAM.average/arithmetic tasks"
    assert row_of(weightings.rows(mended, readings), name).verdict == "consistent"
    broken = changed(published, KEY, "pi0", "average", 56.1)
    row = row_of(weightings.rows(broken, readings), f"{KEY}.pi0.average/arithmetic tasks")
    assert row.verdict == "not consistent"
    assert "the 7 axes alike would print 56.1" in row.why and "draw's counts" not in row.why


def test_counts_are_of_as_many_tasks_as_they_should_be(data: tuple[Published, Readings]) -> None:
    known = data[1].weightings[KEY]
    assert sum(known.all_tasks.values()) == 10_030
    assert [sum(draw.tasks.values()) for draw in known.draws] == [2008, 1506]
    columns = set(data[1].averages[KEY])
    assert columns == set(known.all_tasks) == set(draws.AXES)
    assert all(set(draw.tasks) == columns for draw in known.draws)


@pytest.mark.parametrize(
    ("ending", "axis"),
    [
        ("_view_0_15_130_0_0_initstate_0", "camera"),
        ("_view_0_0_100_-4_6_initstate_0", "camera"),
        ("_view_0_0_100_0_0_initstate_451", "robot"),
        ("_language_7_view_0_0_100_0_0_initstate_0", "language"),
        ("_view_0_0_100_0_0_initstate_0_noise_41", "noise"),
        ("_light_12", "light"),
        ("_table_3", "background"),
        ("_tb_30", "background"),
        ("_add_2", "layout"),
        ("_moved_level1_sample3", "layout"),
    ],
)
def test_the_axis_follows_from_the_name(ending: str, axis: str) -> None:
    assert draws.axis_of(f"put_the_thing_on_the_table{ending}") == axis


def test_a_name_of_no_axis_is_an_error() -> None:
    with pytest.raises(ValueError, match="no axis"):
        draws.axis_of("put_the_thing_on_the_table")


def test_a_draw_depends_on_seed_and_suite_alone() -> None:
    drawn = draws.drawn("libero_goal", 50, 0.15)
    assert len(drawn) == 8 and list(drawn) == sorted({*drawn})
    assert list(drawn) == sorted(random.Random("42:libero_goal").sample(list(range(50)), 8))
    assert drawn != draws.drawn("libero_10", 50, 0.15)
    names = {"libero_goal": ["x_light_1"] * 25 + ["x_add_1"] * 25}
    counted = Counter("light" if index < 25 else "layout" for index in drawn)
    found = draws.counts(names, 0.15)
    assert {axis: count for axis, count in found.items() if count} == counted


@pytest.mark.skipif(util.find_spec("liberoplus") is None, reason=f"no {draws.PACKAGE} is installed")
def test_the_counts_are_those_of_the_released_task_lists(data: tuple[Published, Readings]) -> None:
    tasks, known = draws.installed(), data[1].weightings[KEY]
    assert draws.counts(tasks, 1) == known.all_tasks
    for draw, ratio in zip(known.draws, draws.RATIOS, strict=True):
        assert draws.counts(tasks, ratio) == draw.tasks


def test_the_ledger_shows_them(wambench: CommandLine) -> None:
    ended = wambench("audit", "claims", "--kind", "arithmetic", "--json")
    assert ended.code == 0, ended.err
    shown = {row["id"] for row in json.loads(ended.out)["rows"]}
    assert {f"{KEY}.{name}.average/arithmetic tasks" for name in FOUND} <= shown
    told = wambench("audit", "claims", "--kind", "arithmetic")
    assert "is over all 10,030 tasks" in " ".join(told.out.split())
